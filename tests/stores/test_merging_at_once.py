"""Batches become one in a database that somebody else works on, too, at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from devteam_planner.app import Stores, opened_stores
from devteam_planner.cipher import Cipher
from devteam_planner.convert.plans import tokens_to_proto
from devteam_planner.domain import Batch
from devteam_planner.events import TokensRead
from devteam_planner.ports import Entry, Stretch
from devteam_planner.store.rotation import Rotation
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import token_batches

from devteam.mesh.database import Connection, Database
from devteam.mesh.errors import Unavailable
from tests.stores.answers import ALL, DONE, SAID, TASK, WORDS, as_one, begun, end, rows, words
from tests.stores.attempts import LATER, W1
from tests.stores.planner_databases import KEYS


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    async with opened_stores(str(request.getfixturevalue(request.param)), Cipher(KEYS, "new")) as found:
        yield await begun(found)


class Interrupted:
    """A database in whose next writes something happens before each statement that changes something."""

    def __init__(self, database: Database, before: Callable[[str], Awaitable[None]]) -> None:
        self._database = database
        self._before = before
        self.dialect = database.dialect
        self.read = database.read

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._database.write() as connection:
            yield _Interrupting(connection, self._before)  # type: ignore[misc]  # the half of it that is needed


class _Interrupting:
    def __init__(self, connection: Connection, before: Callable[[str], Awaitable[None]]) -> None:
        self._connection = connection
        self._before = before

    async def execute(self, statement: sa.Executable, parameters: Any = None) -> Any:
        if isinstance(statement, sa.Delete | sa.Insert):
            await self._before(type(statement).__name__)
        return await self._connection.execute(statement, parameters)


def interrupted(stores: Stores, before: Callable[[str], Awaitable[None]]) -> SqlTokenStore:
    database: Any = Interrupted(_database(stores), before)
    return SqlTokenStore(database, Cipher(KEYS, "new"))


def _database(stores: Stores) -> Database:
    assert stores.database is not None
    return stores.database


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["Delete", "Insert"])
async def test_a_death_in_between_leaves_all_as_it_was(shared: Stores, moment: str) -> None:
    await end(shared)

    async def die(statement: str) -> None:
        if statement == moment:
            raise Killed

    with pytest.raises(Killed):
        await interrupted(shared, die).merge(TASK, ALL, as_one)
    assert len(await rows(shared)) == 4
    assert await words(shared) == list(WORDS)


async def test_several_planners_that_merge_the_same_make_one_of_it(shared: Stores) -> None:
    """Also where they would cut it otherwise."""
    await end(shared)
    cuts = (ALL, Stretch(1, 1, 6, 0), ALL, Stretch(1, 3, 7, 0))
    async with asyncio.timeout(60):
        done = await asyncio.gather(*(shared.tokens.merge(TASK, cut, as_one) for cut in cuts))
    assert any(done)
    assert [await words(shared, after) for after in range(8)] == [list(WORDS[after:]) for after in range(8)]
    spans = await rows(shared)
    assert [seq for first, last in spans for seq in range(first, last + 1)] == list(range(1, 8))


ANOTHER = {"task_id": TASK, "attempt": 1, "last_seq": 5, "first_seq": 4, "payload": b""}


@pytest.mark.parametrize("shared", ["sqlite_url"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [sa.delete(token_batches).where(token_batches.c.last_seq == 3), sa.insert(token_batches).values(ANOTHER)],
    ids=["gone", "come"],
)
async def test_rows_that_changed_before_they_were_deleted_are_left_alone(shared: Stores, change: sa.Executable) -> None:
    """SQLite, unlike PostgreSQL, locks nothing while it reads: another process may have merged or erased some."""
    await end(shared)

    async def meanwhile(statement: str) -> None:
        if statement == "Delete":
            # What another process would have committed; here it is part of the transaction that is rolled back.
            await connections[-1].execute(change)

    connections: list[Connection] = []
    store = interrupted(shared, meanwhile)
    held = store._held

    async def remember(connection: Any, within: dict[str, Any]) -> list[Batch]:
        connections.append(connection._connection)
        return await held(connection, within)

    store._held = remember  # type: ignore[method-assign]  # a race
    assert not await store.merge(TASK, ALL, as_one)
    assert await words(shared) == list(WORDS)


async def test_an_erasure_takes_also_what_is_being_merged(shared: Stores) -> None:
    await end(shared)
    await shared.plans.close_plan("p-1", LATER)
    deleted, go_on = asyncio.Event(), asyncio.Event()

    async def wait(statement: str) -> None:
        if statement == "Insert":
            deleted.set()
            await go_on.wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(interrupted(shared, wait).merge(TASK, ALL, as_one))
        await deleted.wait()
        erasing = group.create_task(shared.erasures.erase(["p-1"]))
        await _waits_for_the_other(shared)
        assert not erasing.done()
        go_on.set()
    assert await shared.erasures.open_of(["p-1"]) == set()
    async with _database(shared).read() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(token_batches)) == 0


async def _waits_for_the_other(stores: Stores) -> None:
    """Until one transaction waits for another; on SQLite writers stand in line before they begin."""
    if _database(stores).dialect == "sqlite":
        await asyncio.sleep(0)
        return
    locks = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    waiting = 0
    while not waiting:
        async with _database(stores).read() as connection:
            waiting = await connection.scalar(locks)


async def test_a_rotation_overwrites_nothing_that_was_merged_behind_its_back(shared: Stores) -> None:
    """It read the last of the batches before; what is there now has the same key in its table."""
    async with opened_older(shared) as older:
        await older.plans.end_attempt(TASK, 1, W1, DONE, LATER)
        rotation = Rotation(_database(shared), Cipher(KEYS, "new"))
        reads, merged = rotation._next, False

        async def reads_and_waits(table: sa.Table, after: Sequence[Any] | None) -> Sequence[sa.Row[Any]]:
            nonlocal merged
            found = await reads(table, after)
            if table is token_batches and not merged:
                merged = await older.tokens.merge(TASK, ALL, as_one)
            return found

        rotation._next = reads_and_waits  # type: ignore[method-assign]  # a race
        async with aclosing(rotation.run()) as steps:
            async for _ in steps:
                pass
    assert merged
    assert await rows(shared) == [(1, 7)]
    assert await words(shared) == list(WORDS)
    only_new = SqlTokenStore(_database(shared), Cipher({"new": KEYS["new"]}, "new"))
    assert len(await only_new.read(TASK, 1, after=0, limit=9)) == 1


@asynccontextmanager
async def opened_older(stores: Stores) -> AsyncIterator[Stores]:
    """The same database, as a Planner has it that writes with the old key still; its answer was written so, too."""
    database = _database(stores)
    older = SqlTokenStore(database, Cipher(KEYS, "old"))
    async with database.write() as connection:
        await connection.execute(sa.delete(token_batches))
    assert await older.append([Entry(TASK, 1, W1, batch) for batch in SAID]) == []
    yield replace(stores, tokens=older)


async def test_what_an_older_key_sealed_is_sealed_with_the_current_one(shared: Stores) -> None:
    async with opened_older(shared):
        await end(shared)
        assert await shared.tokens.merge(TASK, ALL, as_one)
    only_new = SqlTokenStore(_database(shared), Cipher({"new": KEYS["new"]}, "new"))
    [batch] = await only_new.read(TASK, 1, after=0, limit=9)
    assert [token.text for token in tokens_to_proto(TokensRead(TASK, 1, batch, 0)).tokens] == list(WORDS)


async def test_a_batch_that_no_key_opens_leaves_all_as_it_was(shared: Stores) -> None:
    await end(shared)
    await _spoil(shared, last_seq=6)
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        await shared.tokens.merge(TASK, ALL, as_one)
    async with _database(shared).read() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(token_batches)) == 4


async def _spoil(stores: Stores, last_seq: int) -> None:
    """Put the content of another row into this one."""
    other = sa.select(token_batches.c.payload).where(token_batches.c.last_seq == 2).scalar_subquery()
    async with _database(stores).write() as connection:
        await connection.execute(
            sa.update(token_batches).where(token_batches.c.last_seq == last_seq).values(payload=other)
        )
