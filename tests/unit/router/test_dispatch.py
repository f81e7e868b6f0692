"""The buffer between a worker and a Planner."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from devteam_router.dispatch import AssignedTo, Dispatch, Event, HasStarted, NeverRan, Reported, Stage, Waits, WasLost
from devteam_router.domain import AttemptId, Decision, StrategyName, Wait, WaitReason, WorkerInstance

from devteam.mesh.errors import Aborted
from devteam.mesh.tasks import cancelled
from tests.fakes.router_samples import a_run, story, tokens

WAITS = Waits(Wait(WaitReason.ALL_SLOTS_BUSY, "busy"), "default")
ASSIGNED = AssignedTo(WorkerInstance("w1", "i1"), Decision(StrategyName.LEAST_LOADED, "default", "why", 1, 0.0))


class Follower:
    """Reads on as far as it can."""

    def __init__(self, dispatch: Dispatch, last_seq: int) -> None:
        self.events: list[Event] = []
        self.superseded = ""
        self._dispatch = dispatch
        self._last_seq = last_seq
        self._task = asyncio.create_task(self._read())

    @property
    def story(self) -> list[str]:
        return story(self.events)

    async def caught_up(self) -> list[str]:
        for _ in range(5):
            await asyncio.sleep(0)
        return self.story

    async def stop(self) -> None:
        await cancelled(self._task)

    async def _read(self) -> None:
        try:
            async for event in self._dispatch.follow(self._last_seq):
                self.events.append(event)
        except Aborted as error:
            self.superseded = error.reason


Follow = Callable[[int], Follower]


@pytest.fixture
def dispatch() -> Dispatch:
    return Dispatch(AttemptId("t1", 1), a_run(), Stage.RUNNING)


@pytest.fixture
async def follow(dispatch: Dispatch) -> AsyncIterator[Follow]:
    followers: list[Follower] = []

    def start(last_seq: int) -> Follower:
        followers.append(Follower(dispatch, last_seq))
        return followers[-1]

    yield start
    for follower in followers:
        await follower.stop()


async def test_a_follower_hears_everything_in_order_as_it_comes(dispatch: Dispatch, follow: Follow) -> None:
    follower = follow(0)
    assert await follower.caught_up() == []
    dispatch.tell(WAITS)
    dispatch.tell(HasStarted())
    assert await follower.caught_up() == ["waits: all_slots_busy", "started"]
    dispatch.take(tokens(1, 3))
    assert await follower.caught_up() == ["waits: all_slots_busy", "started", "tokens 1-3"]
    dispatch.take(tokens(4, 4))
    dispatch.finish(Reported(4, "report"))
    assert (await follower.caught_up())[3:] == ["tokens 4-4", "report after 4"]
    assert not dispatch.followed


async def test_a_late_follower_hears_what_still_holds(dispatch: Dispatch, follow: Follow) -> None:
    """A planner that died before it stored the assignment must learn where the run is, not only that it started."""
    dispatch.tell(WAITS)
    dispatch.tell(ASSIGNED)
    dispatch.tell(HasStarted())
    assert await follow(0).caught_up() == ["assigned to w1", "started"]


async def test_reasons_to_wait_that_were_told_are_not_kept(dispatch: Dispatch, follow: Follow) -> None:
    """A run may wait for days, and its reason change all the time."""
    follower = follow(0)
    await follower.caught_up()
    for _ in range(50):
        for _ in range(20):
            dispatch.tell(WAITS)
        await follower.caught_up()
    assert len(dispatch._statuses) < 50
    dispatch.tell(ASSIGNED)
    dispatch.tell(HasStarted())
    assert (await follower.caught_up())[999:] == ["waits: all_slots_busy", "assigned to w1", "started"]
    assert await follow(0).caught_up() == ["assigned to w1", "started"]


@pytest.mark.parametrize(
    ("last_seq", "heard"),
    [
        (0, ["tokens 1-3", "tokens 4-4", "tokens 5-9"]),
        (3, ["tokens 4-4", "tokens 5-9"]),
        (4, ["tokens 5-9"]),
        (9, []),
    ],
)
async def test_one_can_follow_from_any_batch_on(
    dispatch: Dispatch, follow: Follow, last_seq: int, heard: list[str]
) -> None:
    for first, last in ((1, 3), (4, 4), (5, 9)):
        dispatch.take(tokens(first, last))
    assert await follow(last_seq).caught_up() == heard


async def test_a_report_is_held_back_until_its_tokens_were_heard(dispatch: Dispatch, follow: Follow) -> None:
    follower = follow(0)
    dispatch.finish(Reported(2, "report"))
    assert await follower.caught_up() == []
    dispatch.take(tokens(1, 2))
    assert await follower.caught_up() == ["tokens 1-2", "report after 2"]


@pytest.mark.parametrize(
    ("end", "words"),
    [(WasLost(WorkerInstance("w1", "i1"), ""), "lost with w1"), (NeverRan(cancelled=True, message=""), "cancelled")],
)
async def test_other_ends_wait_for_nothing(
    dispatch: Dispatch, follow: Follow, end: WasLost | NeverRan, words: str
) -> None:
    dispatch.take(tokens(1, 2))
    dispatch.finish(end)
    assert await follow(0).caught_up() == ["tokens 1-2", words]


async def test_the_first_end_counts(dispatch: Dispatch, follow: Follow) -> None:
    dispatch.finish(Reported(0, "report"))
    dispatch.finish(WasLost(WorkerInstance("w1", "i1"), ""))
    assert await follow(0).caught_up() == ["report after 0"]
    assert dispatch.stage is Stage.ENDED


async def test_a_later_follower_takes_over(dispatch: Dispatch, follow: Follow) -> None:
    first = follow(0)
    await first.caught_up()
    second = follow(0)
    await second.caught_up()
    dispatch.take(tokens(1, 1))
    assert (await first.caught_up(), first.superseded) == ([], "DISPATCH_SUPERSEDED")
    assert (await second.caught_up(), second.superseded) == (["tokens 1-1"], "")
    assert dispatch.followed


async def test_what_was_dismissed_is_followed_by_nobody(dispatch: Dispatch, follow: Follow) -> None:
    """Whoever cleans up after the last follower would wait for ever otherwise."""
    follower = follow(0)
    await follower.caught_up()
    dispatch.dismiss()
    assert (await follower.caught_up(), follower.superseded) == ([], "DISPATCH_SUPERSEDED")
    assert not dispatch.followed


async def test_a_slow_follower_learns_that_it_was_superseded_without_further_news(dispatch: Dispatch) -> None:
    dispatch.take(tokens(1, 1))
    slow = dispatch.follow(0)
    assert story([await anext(slow)]) == ["tokens 1-1"]
    quick = dispatch.follow(0)
    assert story([await anext(quick)]) == ["tokens 1-1"]
    waiting = asyncio.create_task(anext(quick))
    await asyncio.sleep(0)

    with pytest.raises(Aborted, match="another planner"):
        await asyncio.wait_for(anext(slow), 60)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await quick.aclose()


async def test_a_dismissed_follower_is_told(dispatch: Dispatch, follow: Follow) -> None:
    follower = follow(0)
    await follower.caught_up()
    dispatch.dismiss()
    await follower.caught_up()
    assert follower.superseded == "DISPATCH_SUPERSEDED"


def test_what_does_not_follow_on_is_not_taken(dispatch: Dispatch) -> None:
    assert dispatch.take(tokens(1, 3))
    assert [dispatch.take(tokens(*batch)) for batch in ((1, 3), (3, 4), (5, 6))] == [False, False, False]
    assert (dispatch.received, dispatch.held_bytes) == (3, 10)


def test_acknowledged_batches_are_let_go(dispatch: Dispatch) -> None:
    for first, last in ((1, 3), (4, 6), (7, 9)):
        dispatch.take(tokens(first, last))
    assert (dispatch.floor, dispatch.held_bytes) == (0, 30)
    dispatch.acknowledge(5)
    assert (dispatch.floor, dispatch.held_bytes) == (3, 20)
    dispatch.acknowledge(5)
    dispatch.acknowledge(9)
    assert (dispatch.floor, dispatch.held_bytes, dispatch.received) == (9, 0, 9)


async def test_after_a_restart_the_worker_sends_again_from_there(dispatch: Dispatch, follow: Follow) -> None:
    dispatch.take(tokens(1, 9))
    dispatch.restart_after(5)
    assert (dispatch.floor, dispatch.held_bytes, dispatch.received) == (5, 0, 5)
    assert dispatch.take(tokens(6, 7))
    assert await follow(5).caught_up() == ["tokens 6-7"]
