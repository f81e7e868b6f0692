"""Workers and routing remembered in SQLite or PostgreSQL."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from devteam.mesh.database import Database
from devteam_registry.domain import Worker
from devteam_registry.routing import Routing
from devteam_registry.store.rows import document_from_routing, routing_from_document, row_from_worker, worker_from_row

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()
_workers = Table(
    "registry_workers",
    metadata,
    Column("worker_id", String(128), primary_key=True),
    Column("instance_id", String(128)),
    Column("session_digest", String(64)),
    Column("registered_at", DateTime(timezone=True)),
    Column("last_heartbeat_at", DateTime(timezone=True)),
    Column("own_availability", Integer),
    Column("active_tasks", Integer),
    Column("departed", Boolean),
    Column("spec", JSON),
    Column("wishes", JSON),
    Column("owner_key", String(256)),
    Column("owner_bound", Boolean),
    Column("tenant", String(64)),
)
_routing = Table("registry_routing", metadata, Column("id", Integer, primary_key=True), Column("routing", JSON))
# There is one routing, in one row.
_SOLE_ID = 1


class SqlWorkerStore:
    """A WorkerStore on a database whose schema is up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upsert = _upsert_into(_workers, database.dialect)

    async def load_all(self) -> list[Worker]:
        """Every worker, in the order of their ids. Raises Unavailable."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(_workers))).mappings()
        # Sorted here: a database's collation is not the order of the ids.
        return sorted((worker_from_row(dict(row)) for row in rows), key=lambda worker: worker.worker_id)

    async def save_many(self, workers: Sequence[Worker]) -> None:
        """Insert or replace all of these, or none. Raises Unavailable."""
        if workers:
            async with self._database.write() as connection:
                await connection.execute(self._upsert, [row_from_worker(worker) for worker in workers])

    async def delete_many(self, worker_ids: Sequence[str]) -> None:
        """Forget all of these, or none. Raises Unavailable."""
        if worker_ids:
            statement = delete(_workers).where(_workers.c.worker_id == bindparam("gone"))
            async with self._database.write() as connection:
                await connection.execute(statement, [{"gone": worker_id} for worker_id in worker_ids])


class SqlRoutingStore:
    """A RoutingStore on a database whose schema is up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upsert = _upsert_into(_routing, database.dialect)

    async def load(self) -> Routing:
        """The routing as it was saved last; one that leaves everything open before that. Raises Unavailable."""
        async with self._database.read() as connection:
            document = await connection.scalar(select(_routing.c.routing).where(_routing.c.id == _SOLE_ID))
        return Routing() if document is None else routing_from_document(document)

    async def save(self, routing: Routing) -> None:
        """Replace the whole of it, or nothing. Raises Unavailable."""
        async with self._database.write() as connection:
            await connection.execute(self._upsert, {"id": _SOLE_ID, "routing": document_from_routing(routing)})


def _upsert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Insert a row, or replace all of the one that has its key."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    replaced = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=keys, set_=replaced)
