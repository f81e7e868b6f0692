import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from devteam_worker.domain import (
    Assignment,
    AttemptId,
    Cancelled,
    Completed,
    Failed,
    HandBackReason,
    HandedBack,
    Outcome,
)
from devteam_worker.in_hand import InHand
from devteam_worker.providers.base import FailureReason, Text, Usage
from devteam_worker.runs import Runs
from devteam_worker.transcript import MAX_PIECE

from tests.fakes.agent_script import PATIENCE, Play, ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock

T1 = AttemptId("t1", 1)
T2 = AttemptId("t2", 1)
TAKEN = Usage(1200, 30, 1000, 0, 0.02)


class News:
    """Rings whenever the runs have something to say."""

    def __init__(self) -> None:
        self.rang = asyncio.Event()

    def ring(self, router: str) -> None:
        self.rang.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.rang.clear()
                await self.rang.wait()


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
async def runs(agent: ScriptedAgent, news: News, clock: FakeClock) -> AsyncIterator[Runs]:
    async with Runs(agent, news.ring, clock, window_bytes=1024 * 1024) as runs:
        yield runs


def in_hand(runs: Runs, attempt: AttemptId = T1) -> InHand:
    return next(item for item in runs if item.id == attempt)


async def begun(runs: Runs, agent: ScriptedAgent, assignment: Assignment | None = None) -> tuple[Play, InHand]:
    assignment = assignment or an_assignment()
    runs.start(assignment)
    return await agent.started(), in_hand(runs, assignment.id)


async def ended(news: News, item: InHand) -> Outcome | None:
    await news.until(lambda: item.outcome is not None)
    return item.outcome


async def test_a_run_is_carried_out_and_stays_in_hand_until_its_report_is_stored(
    runs: Runs, agent: ScriptedAgent, news: News
) -> None:
    play, item = await begun(runs, agent)
    assert play.assignment == an_assignment()
    await play.say("one", "two")
    assert (item.transcript.last_seq, item.has_news, item.running) == (2, True, True)

    play.end(Completed("sim", "sim", "end_turn"))
    assert await ended(news, item) == Completed("sim", "sim", "end_turn")
    assert T1 in runs
    runs.forget(T1)
    assert list(runs) == []


async def test_every_token_and_the_end_are_news(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent)
    news.rang.clear()
    await play.say("one")
    assert news.rang.is_set()
    item.transcript.take()
    assert not item.has_news

    play.end()
    await ended(news, item)
    assert item.has_news
    item.report_sent = True
    assert not item.has_news


async def test_an_ended_run_takes_no_slot(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    """Slots are counted over all queues, and out of each."""
    first, item = await begun(runs, agent, an_assignment("t1", queue="gpu"))
    await begun(runs, agent, an_assignment("t2", queue="gpu"))
    await begun(runs, agent, an_assignment("t3", queue="default"))
    assert (runs.active(), runs.active("gpu"), runs.active("default"), runs.active("other")) == (3, 2, 1, 0)

    first.end()
    await ended(news, item)
    assert (runs.active(), runs.active("gpu")) == (2, 1)


async def test_a_cancelled_run_stops_and_reports_it(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent)
    runs.cancel(T1, fenced=False)
    await play.has_stopped()
    assert await ended(news, item) == Cancelled(took=0.0)
    assert item.has_news


async def test_a_model_that_is_slow_to_close_holds_its_slot_until_it_has_closed(
    runs: Runs, agent: ScriptedAgent, news: News, clock: FakeClock
) -> None:
    """Nor does it report before, or hurry when it is told again; how long it took is in the report."""
    play, item = await begun(runs, agent)
    play.may_close.clear()
    runs.cancel(T1, fenced=False)
    await play.has_stopped()
    clock.advance(0.5)
    runs.cancel(T1, fenced=False)
    runs.cancel(T1, fenced=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (runs.active(), item.outcome, item.has_news) == (1, None, False)

    clock.advance(0.25)
    play.may_close.set()
    assert await ended(news, item) == Cancelled(took=0.75)
    assert (runs.active(), item.has_news) == (0, True)


async def test_a_worker_that_goes_does_not_wait_for_a_model_that_never_closes(
    agent: ScriptedAgent, news: News, clock: FakeClock
) -> None:
    async with asyncio.timeout(PATIENCE), Runs(agent, news.ring, clock, window_bytes=10) as runs:
        play, _ = await begun(runs, agent)
        play.may_close.clear()
        runs.cancel(T1, fenced=False)
        await play.has_stopped()


async def test_a_run_that_is_cancelled_before_it_could_begin_reports_it_too(runs: Runs, news: News) -> None:
    runs.start(an_assignment())
    runs.cancel(T1, fenced=False)
    assert await ended(news, in_hand(runs)) == Cancelled()
    assert runs.active() == 0


async def test_a_fenced_run_stops_and_is_forgotten_once_it_has_said_so(
    runs: Runs, agent: ScriptedAgent, news: News
) -> None:
    """The Router keeps its slot until the report, and refuses whatever comes before it with the same word."""
    play, item = await begun(runs, agent)
    runs.cancel(T1, fenced=True)
    await play.has_stopped()
    assert await ended(news, item) == Cancelled(took=0.0)

    runs.cancel(T1, fenced=True)
    assert T1 in runs
    item.report_sent = True
    runs.cancel(T1, fenced=True)
    assert T1 not in runs


async def test_a_run_that_ended_by_itself_keeps_its_outcome_when_it_is_cancelled_too_late(
    runs: Runs, agent: ScriptedAgent, news: News
) -> None:
    play, item = await begun(runs, agent)
    play.end(Completed("sim", "sim"))
    await ended(news, item)
    runs.cancel(T1, fenced=False)
    assert in_hand(runs).outcome == Completed("sim", "sim")


async def test_what_is_not_in_hand_is_ignored(runs: Runs) -> None:
    runs.cancel(T1, fenced=False)
    runs.cancel(T1, fenced=True)
    runs.resume(T1, 3)
    runs.acknowledge(T1, 3)
    runs.forget(T1)
    assert list(runs) == []


async def test_a_stored_report_stops_a_run_that_still_runs(runs: Runs, agent: ScriptedAgent) -> None:
    play, _ = await begun(runs, agent)
    runs.forget(T1)
    await play.has_stopped()
    assert list(runs) == []


async def test_a_run_that_takes_too_long_fails(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent, an_assignment(run_timeout=0.01))
    assert await ended(news, item) == Failed(
        FailureReason.TIMEOUT, "it ran longer than its run_timeout of 0.01 s", retryable=True
    )
    await play.has_stopped()


async def test_what_a_run_had_taken_is_told_however_it_was_stopped(
    runs: Runs, agent: ScriptedAgent, news: News, clock: FakeClock
) -> None:
    play, cancelled = await begun(runs, agent, an_assignment("t1"))
    play.taken = TAKEN
    runs.cancel(T1, fenced=False)
    assert await ended(news, cancelled) == Cancelled(took=0.0, usage=TAKEN)
    play, broken = await begun(runs, agent, an_assignment("t2"))
    play.taken = TAKEN
    play.break_down(KeyError("secret"))
    failed = await ended(news, broken)
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.usage) == (FailureReason.INTERNAL, TAKEN)
    play, handed_back = await begun(runs, agent, an_assignment("t3"))
    play.taken = TAKEN
    async with asyncio.TaskGroup() as group:
        group.create_task(runs.hand_back())
        outcome = await ended(news, handed_back)
        assert isinstance(outcome, HandedBack)
        assert (outcome.reason, outcome.usage) == (HandBackReason.DRAINING, TAKEN)
        runs.stop_all()


async def test_what_a_run_had_taken_when_its_time_was_up_is_told(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent, an_assignment(run_timeout=0.01))
    play.taken = TAKEN
    failed = await ended(news, item)
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.usage) == (FailureReason.TIMEOUT, TAKEN)


@pytest.mark.parametrize("defect", [KeyError("secret"), TimeoutError("of some socket")])
async def test_a_defect_costs_one_run_and_shows_nothing_internal(
    runs: Runs, agent: ScriptedAgent, news: News, defect: Exception
) -> None:
    """Also one that looks like our own timeout."""
    play, item = await begun(runs, agent)
    await begun(runs, agent, an_assignment("t2"))
    play.break_down(defect)
    assert await ended(news, item) == Failed(
        FailureReason.INTERNAL, "the worker failed in its own code; its log has the cause", retryable=True
    )
    assert in_hand(runs, T2).running


async def test_a_run_waits_while_the_far_end_is_slow(agent: ScriptedAgent, news: News, clock: FakeClock) -> None:
    async with Runs(agent, news.ring, clock, window_bytes=10) as runs:
        play, item = await begun(runs, agent)
        saying = asyncio.create_task(play.say("a longer word", "another"))
        await news.until(lambda: item.transcript.last_seq == 1)
        assert not saying.done()

        runs.acknowledge(T1, 1)
        await news.until(lambda: item.transcript.last_seq == 2)
        runs.widen(1000)
        await asyncio.wait_for(saying, PATIENCE)


async def test_a_huge_token_fits_into_the_window_piece_by_piece(
    agent: ScriptedAgent, news: News, clock: FakeClock
) -> None:
    async with Runs(agent, news.ring, clock, window_bytes=10) as runs:
        play, item = await begun(runs, agent)
        saying = asyncio.create_task(play.say("x" * 3 * MAX_PIECE))
        for seq in (1, 2, 3):
            await news.until(lambda: item.transcript.last_seq == seq)  # noqa: B023 - awaited within the same turn
            assert not saying.done()
            runs.acknowledge(T1, seq)
        await asyncio.wait_for(saying, PATIENCE)


async def test_what_is_said_after_the_end_is_not_heard(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    """An agent may not notice at once that it was stopped."""
    play, item = await begun(runs, agent)
    await play.say("one")
    runs.cancel(T1, fenced=False)
    await ended(news, item)
    await play.say("two")
    assert item.transcript.last_seq == 1


async def test_after_a_break_nothing_is_said_until_resume(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent)
    await play.say("one", "two", "three")
    item.transcript.take()
    runs.silence()
    await play.say("four")
    assert not item.has_news

    news.rang.clear()
    runs.resume(T1, 2)
    assert news.rang.is_set()
    assert item.has_news
    first_seq, tokens = item.transcript.take()
    assert (first_seq, list(tokens)) == (3, [Text("three"), Text("four")])


async def test_a_report_is_repeated_after_a_break(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent)
    play.end()
    await ended(news, item)
    item.report_sent = True
    runs.silence()
    assert not item.has_news
    runs.resume(T1, 0)
    assert item.has_news


async def test_after_a_break_a_cancelled_run_speaks_again(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    _, item = await begun(runs, agent)
    runs.silence()
    runs.cancel(T1, fenced=False)
    assert await ended(news, item) == Cancelled(took=0.0)
    assert item.has_news


async def test_after_a_break_an_ended_run_that_is_cancelled_reports_again(
    runs: Runs, agent: ScriptedAgent, news: News
) -> None:
    play, item = await begun(runs, agent)
    play.end()
    await ended(news, item)
    item.report_sent = True
    runs.silence()
    news.rang.clear()
    runs.cancel(T1, fenced=False)
    assert item.has_news
    assert news.rang.is_set()


async def test_after_a_break_an_ended_run_that_is_fenced_is_forgotten(
    runs: Runs, agent: ScriptedAgent, news: News
) -> None:
    play, item = await begun(runs, agent)
    play.end()
    await ended(news, item)
    runs.silence()
    runs.cancel(T1, fenced=True)
    assert T1 not in runs


async def test_a_drain_ends_once_nothing_is_in_hand(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    play, item = await begun(runs, agent)
    emptied = asyncio.create_task(runs.emptied())
    play.end()
    await ended(news, item)
    assert not emptied.done()
    runs.forget(T1)
    await asyncio.wait_for(emptied, PATIENCE)


async def test_a_drain_of_nothing_ends_at_once(runs: Runs) -> None:
    await asyncio.wait_for(runs.emptied(), PATIENCE)
    await asyncio.wait_for(runs.hand_back(), PATIENCE)


async def test_at_its_deadline_a_drain_hands_back_what_still_runs(runs: Runs, agent: ScriptedAgent, news: News) -> None:
    """And waits a little for the Router to hear of it."""
    play, item = await begun(runs, agent)
    other, finished = await begun(runs, agent, an_assignment("t2"))
    other.end()
    await ended(news, finished)
    draining = asyncio.create_task(runs.hand_back())
    assert await ended(news, item) == HandedBack(HandBackReason.DRAINING, "the worker drains, and its deadline passed")
    await play.has_stopped()
    assert finished.outcome == Completed("sim", "sim", "end_turn")

    runs.forget(T1)
    assert not draining.done()
    runs.forget(T2)
    await asyncio.wait_for(draining, PATIENCE)


async def test_stop_all_stops_and_forgets_everything(runs: Runs, agent: ScriptedAgent) -> None:
    first, _ = await begun(runs, agent)
    second, _ = await begun(runs, agent, an_assignment("t2"))
    runs.stop_all()
    assert (list(runs), runs.active()) == ([], 0)
    await first.has_stopped()
    await second.has_stopped()


async def test_leaving_stops_what_still_runs(agent: ScriptedAgent, news: News, clock: FakeClock) -> None:
    async with Runs(agent, news.ring, clock, window_bytes=100) as runs:
        play, item = await begun(runs, agent)
    assert play.stopped.is_set()
    assert item.outcome == Cancelled()
