"""One suite for every store of the routing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy
from devteam_registry.ports import RoutingStore
from devteam_registry.routing import QueuePolicy, Routing
from devteam_registry.store.memory import MemoryRoutingStore
from devteam_registry.store.sql import MIGRATIONS, SqlRoutingStore, SqlWorkerStore

from devteam.mesh.database import migrate, open_database
from devteam.mesh.errors import Unavailable
from tests.fakes.full_disk import disk_of
from tests.unit.registry.samples import full_routing, worker


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlRoutingStore]:
    database = await open_database(url, MIGRATIONS)
    try:
        yield SqlRoutingStore(database)
    finally:
        await database.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "sqlite_url", "postgres_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RoutingStore]:
    if request.param == "memory":
        yield MemoryRoutingStore()
        return
    async with sql_store(request.getfixturevalue(request.param)) as opened:
        yield opened


async def test_an_empty_store_leaves_everything_open(store: RoutingStore) -> None:
    assert await store.load() == Routing()


async def test_the_routing_comes_back_as_it_was_saved(store: RoutingStore) -> None:
    """Every field, and what is unset stays unset."""
    await store.save(full_routing())
    assert await store.load() == full_routing()


async def test_saving_again_replaces_all_of_it(store: RoutingStore) -> None:
    await store.save(full_routing())
    paused = Routing(queues=(QueuePolicy("очередь", paused=True),))
    await store.save(paused)
    assert await store.load() == paused


async def test_a_routing_as_large_as_may_be_is_kept(store: RoutingStore) -> None:
    weights = {f"{number:064}": 2.0 for number in range(1_000)}
    queues = [QueuePolicy(f"{number:0128}", tenant_weights=weights if number < 10 else {}) for number in range(1_000)]
    large = Routing(queues=tuple(queues))
    await store.save(large)
    assert await store.load() == large


async def test_the_routing_survives_a_restart(url: str) -> None:
    async with sql_store(url) as store:
        await store.save(full_routing())
    async with sql_store(url) as store:
        assert await store.load() == full_routing()


async def test_a_full_disk_keeps_what_there_was(url: str) -> None:
    """Refused with a reason, all of it."""
    database = await open_database(url, MIGRATIONS)
    try:
        store, disk = SqlRoutingStore(database), disk_of(database, url, "registry_routing")
        await store.save(Routing())
        await disk.fill()
        large = Routing(queues=tuple(QueuePolicy(f"{number:0128}", paused=True) for number in range(1_000)))
        with pytest.raises(Unavailable) as caught:
            await store.save(large)
        assert caught.value.reason == "STORAGE_UNAVAILABLE"
        assert await store.load() == Routing()
        await disk.free()
        await store.save(large)
    finally:
        await database.close()


async def test_a_database_from_before_there_was_routing_gets_its_table(url: str) -> None:
    """What it remembers of workers stays."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "0001")
    engine.dispose()
    database = await open_database(url, MIGRATIONS)
    try:
        await SqlWorkerStore(database).save_many([worker("w1")])
        assert await SqlRoutingStore(database).load() == Routing()
    finally:
        await database.close()
