"""Who may have spans written, and how many of them wait for that."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from devteam.mesh.access.buckets import Allowance
from devteam.mesh.errors import ResourceExhausted
from devteam.mesh.spans.turns import MOST_WAITING, Turns
from tests.fakes.clock import FakeClock

HALF = MOST_WAITING // 2


async def sent(turns: Turns, subject: str, cost: float = 1.0) -> str:
    """How it ends for a batch: empty, or the reason of a refusal."""
    try:
        async with turns.of(subject, lambda: cost):
            return ""
    except ResourceExhausted as refusal:
        return refusal.reason


async def waiting(turns: Turns, stack: AsyncExitStack, subject: str, count: int) -> list[asyncio.Task[str]]:
    """So many batches of one caller, each at its place or refused."""
    group = await stack.enter_async_context(asyncio.TaskGroup())
    tasks = [group.create_task(sent(turns, subject)) for _ in range(count)]
    for _ in tasks:
        await asyncio.sleep(0)
    return tasks


async def test_a_caller_whose_limits_are_counted_has_half_of_the_places() -> None:
    turns = Turns()
    async with AsyncExitStack() as stack, turns.of("key b", lambda: 1.0):
        mine = await waiting(turns, stack, "key a", MOST_WAITING)
        others = await waiting(turns, stack, "key b", MOST_WAITING)
    assert [task.result() for task in mine] == [""] * HALF + ["RESOURCE_EXHAUSTED"] * HALF
    # The turn itself is a place, too.
    assert [task.result() for task in others].count("") == HALF - 1
    assert await sent(turns, "key a") == ""


async def test_all_together_have_as_many_places_as_there_are() -> None:
    """Those whose limits nobody counts as well."""
    turns = Turns()
    async with AsyncExitStack() as stack, turns.of("", lambda: 1.0):
        mine = await waiting(turns, stack, "", MOST_WAITING)
    assert [task.result() for task in mine].count("") == MOST_WAITING - 1


async def test_one_who_stops_waiting_gives_its_place_back() -> None:
    turns = Turns()
    async with AsyncExitStack() as stack, turns.of("key b", lambda: 1.0):
        first = await waiting(turns, stack, "key a", HALF)
        for task in first:
            task.cancel()
        await asyncio.wait(first)
        second = await waiting(turns, stack, "key a", HALF)
    assert [task.result() for task in second] == [""] * HALF


async def test_a_caller_that_sent_too_much_is_told_when_that_is_made_good(clock: FakeClock) -> None:
    """The batch that goes beyond is kept: one that is larger than everything allowed could never be sent else."""
    turns = Turns(clock, Allowance(100, 1_000))
    assert [await sent(turns, "key a", 600) for _ in range(3)] == ["", "", "RATE_LIMITED"]
    assert await sent(turns, "key b", 5_000) == ""
    with pytest.raises(ResourceExhausted, match="key a may send 100 a second, 1000 at once") as caught:
        async with turns.of("key a", lambda: 1.0):
            pass
    assert (caught.value.retry_after, caught.value.metadata["subject"]) == (2.0, "key a")
    clock.advance(2.0)
    assert await sent(turns, "key a") == ""


async def test_the_meshs_own_services_are_never_told_so(clock: FakeClock) -> None:
    turns = Turns(clock, Allowance(1, 1))
    assert [await sent(turns, "", 1_000) for _ in range(20)] == [""] * 20


async def test_where_there_is_no_limit_nobody_counts(clock: FakeClock) -> None:
    turns = Turns(clock, Allowance(0, 1))

    def never() -> float:
        raise AssertionError

    for _ in range(20):
        async with turns.of("key a", never):
            pass
