"""What lies in the databases of a mesh."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from devteam_planner.store.tables import metadata
from sqlalchemy.engine import make_url

from benchmarks.figures import tell
from tests.fakes.postgres import postgres

_DATABASES = {"planner": "planner.db", "Temporal": "temporal.db", "traces": "traces.db"}
_QUIET_SECONDS, _LOOK_SECONDS = 15.0, 0.5


def sizes(data: Path) -> dict[str, int]:
    """Bytes in use in each database, its journal included."""
    return {name: _bytes_in_use(data / file) for name, file in _DATABASES.items()}


async def packed(data: Path) -> None:
    """Wait until no tokens have been packed for a while: that begins some seconds after a task's end."""
    same, rows = 0.0, -1
    while same < _QUIET_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        with closing(sqlite3.connect(f"file:{data / _DATABASES['planner']}?mode=ro", uri=True)) as database:
            now = database.execute("SELECT count(*) FROM token_batches").fetchone()[0]
        same, rows = (same + _LOOK_SECONDS if now == rows else 0.0), now


def _bytes_in_use(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        pages, free, size = (
            database.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def tell_tables(what: str, tasks: int, file: Path) -> None:
    """Print rows and bytes a task of each of the Planner's tables, in the SQLite file and in PostgreSQL."""
    _tell_sqlite(what, tasks, file)
    _tell_postgres(what, tasks, file)


def _tell_sqlite(what: str, tasks: int, file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        for table in metadata.sorted_tables:
            rows = database.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            tell(f"{what}: rows a task, {table.name}", rows / tasks)
            size = database.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)",
                (table.name,),
            ).fetchone()[0]
            tell(f"{what}: bytes a task, SQLite, {table.name}", size / tasks)


def _tell_postgres(what: str, tasks: int, file: Path) -> None:
    """The same rows in PostgreSQL, each written once: what updates leave behind is vacuum's to take away."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, postgres(Path(folder)) as server:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        into, out = sa.create_engine(url), sa.create_engine(f"sqlite:///{file}")
        metadata.create_all(into)
        with out.connect() as source, into.begin() as target:
            for table in metadata.sorted_tables:
                for rows in source.execute(sa.select(table)).mappings().partitions(1000):
                    target.execute(sa.insert(table), [dict(row) for row in rows])
        with into.connect() as target:
            for table in metadata.sorted_tables:
                size = target.scalar(sa.select(sa.func.pg_total_relation_size(table.name)))
                tell(f"{what}: bytes a task, PostgreSQL, {table.name}", (size or 0) / tasks)
        into.dispose()
        out.dispose()
