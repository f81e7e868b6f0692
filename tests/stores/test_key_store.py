"""One suite for every store of keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy
from devteam_registry.keys.domain import KeyQuery
from devteam_registry.keys.ports import KeyStore
from devteam_registry.store.memory_keys import MemoryKeyStore
from devteam_registry.store.sql import MIGRATIONS, SqlWorkerStore
from devteam_registry.store.sql_keys import SqlKeyStore

from devteam.mesh.access.caller import Role
from devteam.mesh.database import migrate, open_database
from tests.unit.registry.key_samples import key, token
from tests.unit.registry.samples import NOON, worker

LATER = NOON + timedelta(hours=1)
JOINS = 8


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlKeyStore]:
    database = await open_database(url, MIGRATIONS)
    try:
        yield SqlKeyStore(database)
    finally:
        await database.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "sqlite_url", "postgres_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[KeyStore]:
    if request.param == "memory":
        yield MemoryKeyStore()
        return
    async with sql_store(request.getfixturevalue(request.param)) as opened:
        yield opened


async def test_a_key_comes_back_as_it_was_added(store: KeyStore) -> None:
    """Every field, zones of time included."""
    full = key(
        "имя",
        role=Role.WORKER,
        queues=("gpu", "cpu"),
        worker_id="w1",
        expires_at=LATER,
        rate=2.5,
        created_by="3sFvq9Zk",
    )
    plain = key("plain", role=Role.ADMIN, tenant="", at=NOON + timedelta(seconds=1))
    await store.add(full)
    await store.add(plain)
    assert await store.load_valid(NOON) == [full, plain]
    assert await store.get(full.key_id) == full
    assert await store.get("nobody11") is None


async def test_keys_that_have_ended_are_not_loaded(store: KeyStore) -> None:
    """One that expires now has expired."""
    expiring, revoked, valid = key("e", expires_at=LATER), key("r"), key("v")
    for each in (expiring, revoked, valid):
        await store.add(each)
    await store.revoke(revoked.key_id, NOON)
    assert await store.load_valid(LATER) == [valid]
    assert {each.spec.name for each in await store.load_valid(LATER - timedelta(seconds=1))} == {"e", "v"}


async def test_a_key_is_revoked_once(store: KeyStore) -> None:
    """The first moment stays; an unknown key is no error."""
    known = key()
    await store.add(known)
    await store.revoke(known.key_id, NOON)
    await store.revoke(known.key_id, LATER)
    await store.revoke("nobody11", NOON)
    assert await store.get(known.key_id) == replace(known, revoked_at=NOON)


async def test_keys_are_paged_in_the_order_that_they_were_made_in(store: KeyStore) -> None:
    """Not of their ids; those of the same moment in some order that stays."""
    made = [key(f"k{number}", at=NOON + timedelta(seconds=number // 2)) for number in range(10)]
    for each in made:
        await store.add(each)
    first = await store.page(KeyQuery(size=7), NOON)
    second = await store.page(KeyQuery(after=first.keys[-1].key_id, size=7), NOON)
    assert (first.more, second.more) == (True, False)
    listed = [*first.keys, *second.keys]
    assert sorted(each.spec.name for each in listed) == [f"k{number}" for number in range(10)]
    assert [each.created_at for each in listed] == [each.created_at for each in made]


async def test_a_page_is_of_one_tenant_and_of_valid_keys_unless_said(store: KeyStore) -> None:
    ours, theirs, ended = key("ours"), key("theirs", tenant="team-b"), key("ended")
    for each in (ours, theirs, ended):
        await store.add(each)
    await store.revoke(ended.key_id, NOON)
    assert (await store.page(KeyQuery(tenant="team-a"), NOON)).keys == (ours,)
    of_all = await store.page(KeyQuery(include_ended=True), NOON)
    assert {each.spec.name for each in of_all.keys} == {"ours", "theirs", "ended"}
    assert (await store.page(KeyQuery(after="nobody11"), NOON)).keys == ()


async def test_uses_are_noted(store: KeyStore) -> None:
    """Many at once, of unknown keys too, or none."""
    used, unused = key("used"), key("unused")
    await store.add(used)
    await store.add(unused)
    await store.note_uses({used.key_id: LATER, "nobody11": LATER})
    await store.note_uses({})
    assert await store.get(used.key_id) == replace(used, last_used_at=LATER)
    assert await store.get(unused.key_id) == unused


async def test_a_token_comes_back_as_it_was_added(store: KeyStore) -> None:
    made = token(worker_id="w1", created_by="3sFvq9Zk")
    await store.add_token(made, NOON)
    assert await store.find_token(made.digest) == made
    assert await store.find_token(b"other") is None


async def test_a_token_is_used_once(store: KeyStore) -> None:
    made, first, second = token(), key("w1"), key("w2")
    await store.add_token(made, NOON)
    assert await store.use_token(made.digest, first, NOON)
    assert not await store.use_token(made.digest, second, NOON)
    assert await store.find_token(made.digest) == replace(made, used_at=NOON)
    assert await store.load_valid(NOON) == [first]


async def test_of_many_that_use_a_token_at_the_same_time_one_wins(store: KeyStore) -> None:
    """Whoever loses has no key."""
    made, keys = token(), [key(f"w{number}") for number in range(JOINS)]
    await store.add_token(made, NOON)
    won = await asyncio.gather(*(store.use_token(made.digest, each, NOON) for each in keys))
    assert sum(won) == 1
    assert await store.load_valid(NOON) == [keys[won.index(True)]]


async def test_a_token_that_has_expired_is_not_used_and_is_forgotten(store: KeyStore) -> None:
    """With the next token that is made."""
    made = token(minutes=1)
    await store.add_token(made, NOON)
    assert not await store.use_token(made.digest, key(), NOON + timedelta(minutes=1))
    assert not await store.use_token(b"unknown", key(), NOON)
    await store.add_token(token(minutes=120), LATER)
    assert await store.find_token(made.digest) is None
    assert await store.load_valid(NOON) == []


async def test_two_registries_on_one_database_let_one_worker_join(postgres_url: str) -> None:
    """The condition is the database's, not the process's."""
    made, keys = token(), [key("w1"), key("w2")]
    async with sql_store(postgres_url) as one, sql_store(postgres_url) as other:
        await one.add_token(made, NOON)
        won = await asyncio.gather(
            one.use_token(made.digest, keys[0], NOON), other.use_token(made.digest, keys[1], NOON)
        )
        assert sorted(won) == [False, True]
        assert await other.load_valid(NOON) == [keys[won.index(True)]]


async def test_keys_survive_a_restart(url: str) -> None:
    known = key()
    async with sql_store(url) as store:
        await store.add(known)
    async with sql_store(url) as store:
        assert await store.load_valid(NOON) == [known]


async def test_a_database_from_before_there_were_keys_gets_their_tables(url: str) -> None:
    """What it remembers of workers stays."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "0002")
    engine.dispose()
    database = await open_database(url, MIGRATIONS)
    try:
        await SqlWorkerStore(database).save_many([worker("w1")])
        assert await SqlKeyStore(database).load_valid(NOON) == []
    finally:
        await database.close()
