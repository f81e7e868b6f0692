"""A database as the mesh uses one: SQLite on a laptop, PostgreSQL beyond, the same statements for both.

SQLite is used from the event loop itself, and only its commits, which wait for the disk, go to a thread: a statement
takes 10 to 100 us, and handing each of them to a thread and back took ten times as long.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import CursorResult, Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from devteam.mesh.errors import Unavailable
from devteam.mesh.schema import SchemaTooOld, own_file, prepare, unusable
from devteam.mesh.schema import migrate as migrate  # noqa: PLC0414 - whoever opens databases finds it here, too

_log = structlog.get_logger()

_DISK_FULL = (
    "the disk of the database is full, so nothing new is accepted: make room there, and try again; what runs goes on"
)
_SCHEMA_CHANGING = (
    "the schema of the database is not the one that this version works on: if it is being migrated, try again; else "
    "run `devteam migrate`"
)
# An undefined column, an undefined table, and a plan of a prepared statement whose columns are others now.
_OTHER_SCHEMA = {"42703", "42P01", "0A000"}
_PROBE_BYTES = 64 * 1024
_BEGIN = sa.text("BEGIN IMMEDIATE")
_PROBE = sa.text("CREATE TABLE devteam_probe (filler TEXT)")
_PROBE_ROW = sa.text("INSERT INTO devteam_probe (filler) VALUES (:filler)")
_END_PROBE = sa.text("DROP TABLE devteam_probe")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Connection(Protocol):
    """What stores need of a connection."""

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> CursorResult[Any]:
        """Carry out a statement; its rows are fetched already."""

    async def scalar(self, statement: sa.Executable, /) -> Any:
        """The first column of the first row; None without a row."""


class Database(Protocol):
    """Transactions on one database. Open with `open_database`."""

    dialect: str

    @property
    def full(self) -> bool:
        """A write found no room on the disk, and no `probe` has found any since."""

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to read with. Raises Unavailable when the database cannot be used."""

    def write(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction: committed at the end of the block, rolled back if it raises. Raises Unavailable."""

    async def probe(self) -> None:
        """Write something and take it back. Raises Unavailable when that cannot be done."""

    async def scrub(self) -> None:
        """Leave nothing of what was deleted in the database's files. Writers wait meanwhile. Raises Unavailable.

        SQLite writes its file anew, which takes seconds a gigabyte and as much room again. PostgreSQL has no such
        thing: VACUUM, which it carries out by itself, gives the room to what comes next.
        """

    async def close(self) -> None:
        """Give every connection back."""


async def open_database(url: str, migrations: Path, *, may_migrate: bool = True) -> Database:
    """Open `url` (sqlite:///FILE or postgresql+psycopg://...) and bring its schema up to date, if it may.

    `migrations` is a folder of Alembic revisions. Raises Unavailable, with the cause, when the database cannot be
    reached, or is none, and what `schema.prepare` raises.
    """
    kind = _Sqlite if make_url(url).get_backend_name() == "sqlite" else _Postgres
    to_work_on = partial(prepare, migrations=migrations, may_migrate=may_migrate)
    try:
        return await kind.opened(url, to_work_on)
    except SchemaTooOld:
        raise
    except (Unavailable, DBAPIError, CommandError) as error:
        raise unusable(url, error.__cause__ if isinstance(error, Unavailable) else error) from error


class _Inline:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: sa.Executable, /) -> Any:
        return self._connection.scalar(statement)


class _Sqlite:
    dialect = "sqlite"

    def __init__(self, engine: Engine) -> None:
        self.full = False
        self._engine = engine
        # SQLite has one writer at a time: waiting here is fair and costs no busy retries.
        self._writer = asyncio.Lock()

    @classmethod
    async def opened(cls, url: str, to_work_on: Callable[[sa.Connection], None]) -> "_Sqlite":
        own_file(url)
        connect_args = {"timeout": 5, "check_same_thread": False}
        engine = sa.create_engine(url, connect_args=connect_args, pool_size=16, hide_parameters=True)
        event.listen(engine, "connect", _tune)
        try:
            with _translated(), engine.begin() as connection:
                to_work_on(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        with _translated(), self._engine.connect() as connection:
            yield _Inline(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._writer:
            with _translated(self), self._engine.connect() as connection:
                yield _Inline(connection)
                await _to_its_end(connection.commit)

    async def probe(self) -> None:
        async with self.write() as connection:
            # Said by hand: Python's driver begins no transaction for a CREATE TABLE, which would outlive a failure.
            await connection.execute(_BEGIN)
            await _write_and_take_back(connection)
        self.full = False

    async def scrub(self) -> None:
        async with self._writer:
            with _translated(self), self._engine.connect() as connection:
                await _to_its_end(partial(_rewrite, connection))

    async def close(self) -> None:
        self._engine.dispose()


class _Postgres:
    dialect = "postgresql"

    def __init__(self, engine: AsyncEngine) -> None:
        self.full = False
        self._engine = engine

    @classmethod
    async def opened(cls, url: str, to_work_on: Callable[[sa.Connection], None]) -> "_Postgres":
        engine = create_async_engine(
            url, pool_size=10, max_overflow=10, pool_timeout=2, pool_pre_ping=True, hide_parameters=True
        )
        try:
            with _translated():
                async with engine.begin() as connection:
                    await connection.run_sync(to_work_on)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        with _translated(self):
            async with self._engine.begin() as connection:
                yield connection

    async def probe(self) -> None:
        async with self.write() as connection:
            await _write_and_take_back(connection)
        self.full = False

    async def scrub(self) -> None:
        """See the protocol."""

    async def close(self) -> None:
        await self._engine.dispose()


async def _write_and_take_back(connection: Connection) -> None:
    """A table of its own: small writes to others may find room in pages that are there already."""
    await connection.execute(_PROBE)
    await connection.execute(_PROBE_ROW, {"filler": "x" * _PROBE_BYTES})
    await connection.execute(_END_PROBE)


async def _to_its_end(commit: Any) -> None:
    """Commit in a thread; a cancelled caller waits all the same, since the thread has the connection."""
    committing = asyncio.ensure_future(asyncio.to_thread(commit))
    try:
        await asyncio.shield(committing)
    except asyncio.CancelledError:
        await committing
        raise


def _rewrite(connection: sa.Connection) -> None:
    """Without what was deleted; the journal, which had it too, becomes empty."""
    connection.exec_driver_sql("VACUUM")
    if connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
        raise Unavailable("somebody reads the database, so that its journal cannot be emptied; try again")


def _tune(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # FULL: an accepted task survives a power cut. One fdatasync a transaction.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class _translated:  # noqa: N801 - used as a function
    """Turns a database that cannot be used into Unavailable; mistakes of our own stay what they are.

    Notes on `database` that its disk is full.
    """

    def __init__(self, database: "_Sqlite | _Postgres | None" = None) -> None:
        self._database = database

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError) and _is_of_another_schema(error):
            _log.warning("the schema is not the one that this version knows", error=str(error.orig))
            raise Unavailable(_SCHEMA_CHANGING, reason="SCHEMA_CHANGING", retry_after=1.0) from error
        if isinstance(error, PoolTimeoutError) or (isinstance(error, DBAPIError) and _is_outage(error)):
            _log.error("database not usable", error=str(error.orig if isinstance(error, DBAPIError) else error))
            full = isinstance(error, DBAPIError) and _is_full(error)
            if full and self._database is not None:
                self._database.full = True
            raise Unavailable(
                _DISK_FULL if full else "the database cannot be used now; try again",
                reason="STORAGE_UNAVAILABLE",
                retry_after=1.0,
            ) from error


def _is_outage(error: DBAPIError) -> bool:
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _is_of_another_schema(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _OTHER_SCHEMA:
        return True
    # SQLite has one code for every statement that is wrong.
    said = str(error.orig)
    return said.startswith(("no such table:", "no such column:")) or " has no column named " in said


def _is_full(error: DBAPIError) -> bool:
    sqlite, postgres = getattr(error.orig, "sqlite_errorname", None), getattr(error.orig, "sqlstate", None)
    return sqlite == "SQLITE_FULL" or postgres == "53100"
