"""Whose word about a run counts, when a worker is linked to several Routers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from devteam_worker.domain import AttemptId, Cancelled
from devteam_worker.in_hand import InHand
from devteam_worker.runs import Runs

from tests.fakes.agent_script import PATIENCE, Play, ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock

T1 = AttemptId("t1", 1)
A, B = "http://a:7400", "http://b:7400"


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def runs(agent: ScriptedAgent, clock: FakeClock) -> AsyncIterator[Runs]:
    async with Runs(agent, lambda _: None, clock, window_bytes=1024) as runs:
        yield runs


async def begun(runs: Runs, agent: ScriptedAgent, router: str = A) -> tuple[Play, InHand]:
    runs.start(an_assignment(), router)
    play, item = await agent.started(), runs.get(T1)
    assert item is not None
    return play, item


async def stray(runs: Runs, agent: ScriptedAgent) -> tuple[Play, InHand]:
    """A run whose Router is gone."""
    play, item = await begun(runs, agent)
    runs.silence(A)
    runs.set_adrift(A)
    return play, item


async def over(item: InHand) -> None:
    assert item.task is not None
    await asyncio.wait([item.task], timeout=PATIENCE)
    await asyncio.sleep(0)  # what is called back when it is done


async def test_a_run_is_bound_to_whoever_assigned_it_until_somebody_resumes_it(
    runs: Runs, agent: ScriptedAgent
) -> None:
    _, item = await begun(runs, agent)
    assert item.router == A
    runs.resume(T1, 0, B)
    assert item.router == B
    assert item.taken_from(A)
    assert not item.taken_from(B)


async def test_acknowledgements_count_from_its_own_router_alone(runs: Runs, agent: ScriptedAgent) -> None:
    """Another one may have stored less of it than it was sent."""
    play, item = await begun(runs, agent)
    await play.say("one", "two")
    runs.acknowledge(T1, 2, B)
    runs.forget(T1, B)
    assert (T1 in runs, item.transcript.first_kept) == (True, 1)
    runs.acknowledge(T1, 2, A)
    assert item.transcript.first_kept == 3
    runs.forget(T1, A)
    assert T1 not in runs


async def test_a_router_that_it_is_not_bound_to_may_stop_it_and_not_fence_it(runs: Runs, agent: ScriptedAgent) -> None:
    play, item = await begun(runs, agent)
    runs.cancel(T1, B, fenced=True)
    assert item.stopping_since is None
    runs.cancel(T1, B, fenced=False)
    await play.has_stopped()
    assert item.router == A


async def test_an_end_that_another_router_asks_for_is_not_repeated_to_its_own(runs: Runs, agent: ScriptedAgent) -> None:
    """Its own has yet to say where to go on."""
    play, item = await begun(runs, agent)
    play.end()
    await over(item)
    item.report_sent = True
    runs.silence(A)
    runs.cancel(T1, B, fenced=False)
    assert (item.silent, item.report_sent, item.has_news) == (True, True, False)


async def test_a_run_whose_router_stays_away_is_to_be_had(runs: Runs, agent: ScriptedAgent) -> None:
    """It keeps its slot, and says nothing until somebody takes it."""
    play, item = await stray(runs, agent)
    await play.say("one")
    assert (item.router, item.has_news, runs.active()) == ("", False, 1)
    assert item.unknown_to(B)
    runs.resume(T1, 0, B)
    assert (item.router, item.has_news) == (B, True)


@pytest.mark.parametrize("fenced", [True, False])
async def test_whoever_ends_a_stray_hears_its_end(runs: Runs, agent: ScriptedAgent, *, fenced: bool) -> None:
    play, item = await stray(runs, agent)
    runs.cancel(T1, B, fenced=fenced)
    await play.has_stopped()
    await over(item)
    assert (item.router, item.outcome, item.has_news) == (B, Cancelled(took=0.0), True)


async def test_what_is_stored_is_forgotten_whoever_says_so_of_a_stray(runs: Runs, agent: ScriptedAgent) -> None:
    play, item = await stray(runs, agent)
    play.end()
    await over(item)
    runs.forget(T1, B)
    assert T1 not in runs


async def test_a_break_of_one_line_silences_its_own_runs_alone(runs: Runs, agent: ScriptedAgent) -> None:
    _, item = await begun(runs, agent)
    runs.silence(B)
    assert not item.silent
    runs.set_adrift(B)
    assert item.router == A


async def test_a_router_is_told_of_its_own_runs_and_of_strays(runs: Runs, agent: ScriptedAgent) -> None:
    _, item = await begun(runs, agent)
    assert runs.introduce(B) == []
    assert runs.introduce(A) == [item]
    runs.set_adrift(A)
    assert runs.introduce(B) == [item]
    assert item.told == {A, B}


async def test_a_router_that_comes_back_is_told_anew(runs: Runs, agent: ScriptedAgent) -> None:
    """What it believed before its line broke counts no longer."""
    _, item = await begun(runs, agent)
    runs.resume(T1, 0, B)
    assert runs.introduce(A) == []
    assert not item.taken_from(A)
