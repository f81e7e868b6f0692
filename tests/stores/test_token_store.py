"""What every token store does: one suite for memory, SQLite and PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from devteam_planner.domain import Batch
from devteam_planner.ports import TokenStore
from devteam_planner.store.memory import MemoryTokenStore
from devteam_planner.store.sql_tokens import SqlTokenStore

from tests.fakes.planner_samples import a_batch
from tests.stores.planner_databases import BACKENDS, opened

ONE, TWO, THREE = a_batch(1, "a", "b"), a_batch(3, "c"), a_batch(4, "d", "e", "f")


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[TokenStore]:
    if request.param == "memory":
        yield MemoryTokenStore()
        return
    async with opened(request.getfixturevalue(request.param)) as database:
        yield SqlTokenStore(database)


async def read(store: TokenStore, after: int = 0, limit: int = 9) -> list[Batch]:
    return await store.read("t-1", 1, after=after, limit=limit)


async def test_tokens_are_read_in_order_after_any_of_them(store: TokenStore) -> None:
    await store.append([("t-1", 1, ONE), ("t-1", 1, TWO)])
    await store.append([("t-1", 1, THREE)])
    assert await read(store) == [ONE, TWO, THREE]
    assert await read(store, limit=2) == [ONE, TWO]
    assert await read(store, after=1) == [ONE, TWO, THREE]
    assert await read(store, after=2) == [TWO, THREE]
    assert await read(store, after=5) == [THREE]
    assert await read(store, after=6) == []
    assert await store.last_seq("t-1", 1) == 6


async def test_attempts_are_kept_apart(store: TokenStore) -> None:
    await store.append([("t-1", 1, ONE), ("t-1", 2, a_batch(1, "x")), ("t-2", 1, TWO)])
    assert await read(store) == [ONE]
    assert [await store.last_seq(*key) for key in (("t-1", 1), ("t-1", 2), ("t-2", 1), ("t-3", 1))] == [2, 1, 3, 0]


async def test_a_batch_is_stored_once(store: TokenStore) -> None:
    """Also when it comes twice in one transaction."""
    await store.append([("t-1", 1, ONE), ("t-1", 1, ONE)])
    await store.append([("t-1", 1, ONE), ("t-1", 1, TWO)])
    assert await read(store) == [ONE, TWO]


async def test_a_batch_cut_otherwise_loses_nothing(store: TokenStore) -> None:
    """Whoever takes over an attempt may get the same tokens in other batches."""
    longer = a_batch(1, "a", "b", "c")
    await store.append([("t-1", 1, ONE)])
    await store.append([("t-1", 1, longer)])
    assert await read(store, after=2) == [longer]
    assert await store.last_seq("t-1", 1) == 3


async def test_payloads_are_bytes_of_any_kind(store: TokenStore) -> None:
    batch = Batch(1, 2**40, bytes(range(256)) * 4096)
    await store.append([("t-1", 1, batch)])
    assert await read(store) == [batch]
