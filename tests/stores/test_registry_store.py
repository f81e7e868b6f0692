"""One suite for every store of workers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy
from devteam_registry.domain import Availability, Wishes
from devteam_registry.owners import Owner
from devteam_registry.ports import WorkerStore
from devteam_registry.store.memory import MemoryWorkerStore
from devteam_registry.store.sql import MIGRATIONS, SqlWorkerStore, _workers, metadata
from sqlalchemy.ext.asyncio import create_async_engine

from devteam.mesh.database import migrate, open_database
from devteam.mesh.errors import Unavailable
from tests.unit.registry.samples import NOON, full_spec, worker


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlWorkerStore]:
    database = await open_database(url, MIGRATIONS)
    try:
        yield SqlWorkerStore(database)
    finally:
        await database.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "sqlite_url", "postgres_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[WorkerStore]:
    if request.param == "memory":
        yield MemoryWorkerStore()
        return
    async with sql_store(request.getfixturevalue(request.param)) as opened:
        yield opened


async def test_a_worker_comes_back_as_it_was_saved(store: WorkerStore) -> None:
    """Every field, nested ones and zones of time included."""
    full = replace(
        worker("gpu-box"),
        spec=full_spec(),
        own_availability=Availability.DRAINING,
        active_tasks=3,
        wishes=Wishes(
            7,
            Availability.DRAINING,
            {"site": "", "ключ": "значение"},
            drain_until=NOON + timedelta(hours=1),
            weight=0.5,
        ),
        departed=True,
        owner=Owner("3sFvq9Zk", "acme", bound=True),
    )
    await store.save_many([full])
    assert await store.load_all() == [full]


async def test_an_empty_store_has_no_workers(store: WorkerStore) -> None:
    assert await store.load_all() == []


async def test_workers_come_in_the_order_of_their_ids(store: WorkerStore) -> None:
    """Byte order, not the collation of some locale."""
    await store.save_many([worker("b"), worker("a"), worker("B"), worker("a-1")])
    assert [loaded.worker_id for loaded in await store.load_all()] == ["B", "a", "a-1", "b"]


async def test_saving_again_replaces(store: WorkerStore) -> None:
    """One row a worker, whatever its instance."""
    await store.save_many([worker("w1"), worker("w2")])
    renewed = worker("w1", instance_id="i2", wishes=Wishes(concurrency=4))
    await store.save_many([renewed])
    assert await store.load_all() == [renewed, worker("w2")]


async def test_deleting_forgets_the_named_ones(store: WorkerStore) -> None:
    """Unknown ids are no error, nor is an empty list."""
    await store.save_many([worker("w1"), worker("w2"), worker("w3")])
    await store.delete_many(["w1", "w3", "nobody"])
    await store.delete_many([])
    await store.save_many([])
    assert await store.load_all() == [worker("w2")]


async def test_a_thousand_workers_fit_into_one_call(store: WorkerStore) -> None:
    """A flush of a whole fleet is one transaction."""
    fleet = [worker(f"w{number:04}") for number in range(1000)]
    await store.save_many(fleet)
    assert await store.load_all() == fleet
    await store.delete_many([each.worker_id for each in fleet])
    assert await store.load_all() == []


async def test_workers_survive_a_restart(url: str) -> None:
    """What was saved is there when the database is opened again."""
    async with sql_store(url) as store:
        await store.save_many([worker("w1")])
    async with sql_store(url) as store:
        assert await store.load_all() == [worker("w1")]


async def test_wishes_and_declarations_from_before_there_were_deadlines_and_weights_are_read(url: str) -> None:
    """They are kept as documents, in which these may be missing."""
    async with sql_store(url) as store:
        await store.save_many([worker("w1", wishes=Wishes(availability=Availability.DRAINING))])
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            old = {"concurrency": 0, "availability": 3, "labels": {}}
            [spec] = connection.execute(sqlalchemy.select(_workers.c.spec)).scalars()
            del spec["weight"]
            connection.execute(sqlalchemy.update(_workers).values(wishes=old, spec=spec))
        engine.dispose()
        assert await store.load_all() == [worker("w1", wishes=Wishes(availability=Availability.DRAINING))]


def test_migrations_go_up_down_and_up_again(url: str) -> None:
    """Down leaves nothing but the version table, which carries the service's name."""
    engine = sqlalchemy.create_engine(url)
    tables: list[list[str]] = []
    for target in ("head", "base", "head"):
        with engine.begin() as connection:
            migrate(connection, MIGRATIONS, target)
        tables.append(sorted(sqlalchemy.inspect(engine).get_table_names()))
    engine.dispose()
    up = [
        *("registry_alembic_version", "registry_join_tokens", "registry_keys"),
        *("registry_routing", "registry_workers"),
    ]
    assert tables == [up, ["registry_alembic_version"], up]


def test_the_schema_is_the_one_that_the_store_uses(url: str) -> None:
    """The migrations and the tables in the code name the same columns."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "head")
        found = sqlalchemy.inspect(connection)
        names = {table: [column["name"] for column in found.get_columns(table)] for table in metadata.tables}
    engine.dispose()
    assert names == {name: [column.name for column in table.c] for name, table in metadata.tables.items()}


async def test_a_database_that_is_away_is_unavailable(postgres_url: str) -> None:
    """The server ends the connections and takes no new ones: Unavailable with a reason, not a driver's error."""
    engine = create_async_engine(
        sqlalchemy.make_url(postgres_url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )
    name = sqlalchemy.make_url(postgres_url).database
    async with sql_store(postgres_url) as store:
        await store.save_many([worker("w1")])
        async with engine.connect() as admin:
            await admin.execute(sqlalchemy.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            await admin.execute(
                sqlalchemy.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": name},
            )
            with pytest.raises(Unavailable) as caught:
                await store.save_many([worker("w2")])
            assert caught.value.reason == "STORAGE_UNAVAILABLE"
            await admin.execute(sqlalchemy.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        assert await store.load_all() == [worker("w1")]
    await engine.dispose()
