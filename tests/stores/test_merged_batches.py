"""How batches of an attempt that is over become one, in every token store, and who may do what at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest
from devteam_planner.app import Stores, opened_stores
from devteam_planner.bell import Bell
from devteam_planner.convert.plans import tokens_to_proto
from devteam_planner.domain import Batch
from devteam_planner.events import Cursor, Gap, TokensRead
from devteam_planner.ports import Stretch
from devteam_planner.token_log import TokenLog
from devteam_planner.watch import Watch

from devteam.mesh.clock import SystemClock
from tests.fakes.planner_samples import a_batch
from tests.stores.answers import ALL, LOST, SAID, TASK, WORDS, as_one, begin, begun, end, rows, said, words
from tests.stores.attempts import LATER
from tests.stores.planner_databases import BACKENDS, backend


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    url, cipher = backend(request)
    async with opened_stores(url, cipher) as found:
        yield await begun(found)


async def test_batches_become_one_and_say_the_same_to_whoever_comes_at_whatever_word(stores: Stores) -> None:
    await end(stores)
    assert await stores.tokens.merge(TASK, ALL, as_one)
    assert await rows(stores) == [(1, 7)]
    assert [await words(stores, after) for after in range(8)] == [list(WORDS[after:]) for after in range(8)]
    assert await stores.tokens.last_seq(TASK, 1) == 7
    assert not await stores.tokens.merge(TASK, ALL, as_one), "there is nothing left to merge"


async def test_what_lies_outside_a_stretch_is_left_alone(stores: Stores) -> None:
    await end(stores)
    assert await stores.tokens.merge(TASK, Stretch(1, 3, 6, 0), as_one)
    assert await rows(stores) == [(1, 2), (3, 6), (7, 7)]
    assert await words(stores) == list(WORDS)


async def test_a_reader_between_two_reads_is_told_each_word_once(stores: Stores) -> None:
    """It has read some batches as they were, and finds one in the place of them and of others."""
    await end(stores)
    read = await stores.tokens.read(TASK, 1, after=0, limit=2)
    assert await stores.tokens.merge(TASK, ALL, as_one)
    assert await words(stores, read[-1].last_seq) == list(WORDS[3:])


async def test_a_watcher_comes_back_to_a_merged_answer(stores: Stores) -> None:
    """To wherever it was: nothing is told twice, nothing left out, and no gap is seen."""
    await end(stores)
    assert await stores.tokens.merge(TASK, ALL, as_one)
    clock = SystemClock()
    bell = Bell(clock)
    watch = Watch(stores.plans, TokenLog(stores.tokens, bell, lambda *_: None, clock), bell, clock)
    for after in range(8):
        told: list[object] = []
        async with asyncio.timeout(60), aclosing(watch.watch_task(TASK, Cursor(1, after))) as events:
            async for event in events:
                if isinstance(event, TokensRead):
                    told += [token.text for token in tokens_to_proto(event).tokens]
                elif isinstance(event, Gap):
                    told.append(event)
        assert told == list(WORDS[after:])


async def test_an_open_attempt_is_left_alone(stores: Stores) -> None:
    assert await stores.tokens.stretches(TASK, after=(0, 0), limit=9) == []
    assert not await stores.tokens.merge(TASK, ALL, as_one)
    assert await rows(stores) == [(1, 2), (3, 3), (4, 6), (7, 7)]


async def test_an_older_attempt_of_a_task_that_goes_on_is_merged(stores: Stores) -> None:
    await end(stores, LOST)
    await begin(stores, after=1)
    assert await said(stores, *SAID[:2], attempt=2) == []
    assert {stretch.attempt for stretch in await stores.tokens.stretches(TASK, after=(0, 0), limit=9)} == {1}
    assert await stores.tokens.merge(TASK, ALL, as_one)
    assert not await stores.tokens.merge(TASK, replace(ALL, attempt=2), as_one)
    assert (await rows(stores), await rows(stores, 2)) == ([(1, 7)], [(1, 2), (3, 3)])


async def test_stretches_are_told_page_by_page(stores: Stores) -> None:
    await end(stores, LOST)
    await begin(stores, after=1)
    assert await said(stores, SAID[0], attempt=2) == []
    await end(stores, attempt=2)
    told = [await stores.tokens.stretches(TASK, after=after, limit=3) for after in ((0, 0), (1, 6), (2, 2))]
    assert [[(s.attempt, s.first_seq, s.last_seq) for s in page] for page in told] == [
        [(1, 1, 2), (1, 3, 3), (1, 4, 6)],
        [(1, 7, 7), (2, 1, 2)],
        [],
    ]
    assert all(stretch.size >= len(batch.payload) for stretch, batch in zip(told[0], SAID, strict=False))
    assert await stores.tokens.stretches("p-9.a", after=(0, 0), limit=3) == []


async def test_a_replay_of_what_was_merged_is_no_refusal_and_changes_nothing(stores: Stores) -> None:
    await end(stores)
    assert await stores.tokens.merge(TASK, Stretch(1, 1, 6, 0), as_one)
    assert await said(stores, *SAID) == []
    assert await said(stores, a_batch(8, "late")) == [a_batch(8, "late")]
    assert await rows(stores) == [(1, 6), (7, 7)]


async def test_what_nothing_is_made_of_stays(stores: Stores) -> None:
    await end(stores)

    def fail(_: Sequence[Batch]) -> Batch:
        raise ArithmeticError

    assert not await stores.tokens.merge(TASK, ALL, lambda _: None)
    with pytest.raises(ArithmeticError):
        await stores.tokens.merge(TASK, ALL, fail)
    assert await words(stores) == list(WORDS)
    assert len(await rows(stores)) == 4


async def test_an_erased_task_does_not_come_back(stores: Stores) -> None:
    await end(stores)
    await stores.plans.close_plan("p-1", LATER)
    await stores.erasures.erase(["p-1"])
    assert not await stores.tokens.merge(TASK, ALL, as_one)
    assert await rows(stores) == []
