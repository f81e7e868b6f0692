"""Code that looks on at a worker's tasks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from devteam_worker.domain import Assignment, Completed, Emit, Failed, HandBackReason, HandedBack, Outcome, Spend
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.failures import TaskFailed
from devteam_worker.onlooking import Onlooker, WatchedAgent
from devteam_worker.owner_task import StartedTask
from devteam_worker.providers.base import FailureReason, Text

from tests.fakes.agent_script import PATIENCE, an_assignment
from tests.unit.worker.listener import WELL, Listener

FAILED = Failed(FailureReason.PROVIDER_UNAVAILABLE, "it is overloaded", retryable=True)


class Model:
    """Says a word, and ends as it is told to."""

    def __init__(self, outcome: Outcome = WELL) -> None:
        self._outcome = outcome

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        await emit(Text("word"))
        return self._outcome


@asynccontextmanager
async def watched(
    outcome: Outcome = WELL, on_start: Onlooker | None = None, on_error: Callable[[Exception], object] | None = None
) -> AsyncIterator[WatchedAgent]:
    loop = OwnersLoop()
    loop.start()
    try:
        async with asyncio.timeout(PATIENCE):
            yield WatchedAgent(Model(outcome), loop, on_start, on_error)
    finally:
        loop.stop()


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_who_looks_on_hears_of_a_task_before_its_model_speaks(emit: Listener, kind: str) -> None:
    seen: list[StartedTask] = []

    def plain(task: StartedTask) -> None:
        assert emit.heard == []
        seen.append(task)

    async def coroutine(task: StartedTask) -> None:
        await asyncio.sleep(0)
        plain(task)

    async with watched(on_start={"plain": plain, "coroutine": coroutine}[kind]) as agent:
        assert await agent.run(an_assignment("t7", 3, queue="gpu", model="opus", tools=("search",)), emit) == WELL
    assert emit.heard == [Text("word")]
    assert seen == [
        StartedTask("t7", 3, "p1", "s1", "gpu", "opus", "What is new?", "You are brief.", ("search",), {"seed": 7.0})
    ]


@pytest.mark.parametrize("error", [ValueError("of mine"), SystemExit(3), asyncio.CancelledError()])
async def test_what_an_onlooker_raises_changes_nothing(emit: Listener, error: BaseException) -> None:
    def raising(_: object) -> None:
        raise error

    async with watched(FAILED, raising, raising) as agent:
        assert await agent.run(an_assignment(), emit) == FAILED
        assert await agent.run(an_assignment(), emit) == FAILED
    assert emit.heard == [Text("word")] * 2


async def test_the_owner_hears_of_what_failed_on_a_model(emit: Listener) -> None:
    errors: list[Exception] = []
    async with watched(FAILED, on_error=errors.append) as agent:
        assert await agent.run(an_assignment("t7", 3, model="opus"), emit) == FAILED
    [error] = errors
    assert isinstance(error, TaskFailed)
    assert (str(error), error.task_id, error.attempt, error.model) == ("it is overloaded", "t7", 3, "opus")
    assert (error.reason, error.retryable) == ("PROVIDER_UNAVAILABLE", True)


@pytest.mark.parametrize("outcome", [WELL, Completed("sim", "sim"), HandedBack(HandBackReason.RATE_LIMITED, "later")])
async def test_what_did_not_fail_is_no_error(emit: Listener, outcome: Outcome) -> None:
    errors: list[Exception] = []
    async with watched(outcome, on_error=errors.append) as agent:
        assert await agent.run(an_assignment(), emit) == outcome
    assert errors == []


async def test_where_nobody_looks_on_no_run_waits_for_code_of_the_owners(emit: Listener) -> None:
    """Which may block, as tools do: a loop that does not turn yet stands for it."""
    loop = OwnersLoop()
    try:
        async with asyncio.timeout(PATIENCE):
            assert await WatchedAgent(Model(FAILED), loop).run(an_assignment(), emit) == FAILED
    finally:
        loop.start()
        loop.stop()


async def test_a_run_that_is_cancelled_does_not_wait_for_an_onlooker(emit: Listener) -> None:
    """Nor does its model begin."""
    blocks, gate = threading.Event(), threading.Event()

    def block(task: StartedTask) -> None:
        blocks.set()
        gate.wait(PATIENCE)

    async with watched(on_start=block) as agent:
        running = asyncio.create_task(agent.run(an_assignment(), emit))
        assert await asyncio.to_thread(blocks.wait, PATIENCE)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        gate.set()
    assert emit.heard == []
