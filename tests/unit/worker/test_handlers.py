import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar

import pytest
from devteam_worker.domain import Assignment, Emit, Failed, HandBackReason, HandedBack, Outcome
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.failures import Fatal, RateLimited, Retryable
from devteam_worker.handlers import Handler, HandlerAgent
from devteam_worker.mouth import Mouth
from devteam_worker.owner_task import Task
from devteam_worker.providers.base import FailureReason, Progress, Text
from structlog.testing import capture_logs

from tests.fakes.agent_script import PATIENCE, an_assignment
from tests.unit.worker.listener import WELL, Listener, taking


async def outcome_of(handler: Handler, emit: Emit, assignment: Assignment | None = None) -> Outcome:
    async with taking(handler) as agent, asyncio.timeout(PATIENCE):
        return await agent.run(assignment or an_assignment(), emit)


async def test_a_coroutine_function_answers_with_what_it_returns(emit: Listener) -> None:
    async def handle(task: Task) -> str:
        await asyncio.sleep(0)
        return task.prompt.upper()

    assert await outcome_of(handle, emit) == WELL
    assert emit.heard == [Text("WHAT IS NEW?")]


async def test_a_coroutine_function_may_stream_before_it_returns(emit: Listener) -> None:
    async def handle(task: Task) -> str:
        await task.emit("one ")
        await task.emit("two ")
        return "three"

    assert await outcome_of(handle, emit) == WELL
    assert emit.heard == [Text("one "), Text("two "), Text("three")]


async def test_a_plain_function_answers_with_what_it_returns(emit: Listener) -> None:
    assert await outcome_of(lambda task: task.prompt.lower(), emit) == WELL
    assert emit.heard == [Text("what is new?")]


async def test_an_async_generator_answers_piece_by_piece(emit: Listener) -> None:
    async def handle(task: Task) -> AsyncGenerator[str, None]:
        for word in task.prompt.split():
            yield word

    assert await outcome_of(handle, emit) == WELL
    assert emit.heard == [Text("What"), Text("is"), Text("new?")]


async def test_returning_nothing_adds_nothing(emit: Listener) -> None:
    assert await outcome_of(lambda _: None, emit) == WELL
    assert emit.heard == []


SILENCE = {
    "event": "the handler neither returned nor emitted anything",
    "log_level": "warning",
    "handler": "test_a_handler_that_only_looks_on_is_warned_of_once.<locals>.look",
    "why": "on_task stands in for the model: none is asked, and the task succeeds with an empty output",
    "advice": "return or emit the answer; to look on while models answer, use on_task_start instead of on_task",
}


async def test_a_handler_that_only_looks_on_is_warned_of_once(emit: Listener) -> None:
    async def look(task: Task) -> None:
        await task.progress(f"Processing task {task.id}")

    with capture_logs() as logs:
        async with taking(look) as agent:
            for _ in range(2):
                assert await agent.run(an_assignment(), emit) == WELL
    assert logs == [SILENCE]


@pytest.mark.parametrize("answer", ["", "ANSWER"])
async def test_a_handler_that_answers_is_not_warned_of(emit: Listener, answer: str) -> None:
    """With an empty text, too: it is one."""

    async def emitting(task: Task) -> None:
        await task.emit(answer)

    with capture_logs() as logs:
        for handler in (lambda _: answer, emitting):
            assert await outcome_of(handler, emit) == WELL
    assert logs == []


async def test_a_handler_that_fails_is_not_called_silent(emit: Listener) -> None:
    with capture_logs() as logs:
        assert isinstance(await outcome_of(raising("coroutine", Fatal("no such page")), emit), Failed)
    assert logs == []


async def test_a_handler_sees_the_whole_task(emit: Listener) -> None:
    seen: list[Task] = []
    await outcome_of(seen.append, emit, an_assignment("t7", 3, queue="gpu", model="opus", tools=("search",)))
    task = seen[0]
    assert (task.id, task.attempt, task.plan_id, task.step_id) == ("t7", 3, "p1", "s1")
    assert (task.queue, task.model, task.prompt, task.system_prompt) == (
        "gpu",
        "opus",
        "What is new?",
        "You are brief.",
    )
    assert (task.tools, task.options) == (("search",), {"seed": 7.0})


class Wrong(Exception):
    """Something of the owner's own."""


KINDS = ["coroutine", "plain", "generator"]


def raising(kind: str, error: BaseException) -> Handler:
    def plain(task: Task) -> str:
        raise error

    async def coroutine(task: Task) -> str:
        raise error

    async def generator(task: Task) -> AsyncGenerator[str, None]:
        raise error
        yield "never"

    return {"plain": plain, "coroutine": coroutine, "generator": generator}[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Retryable("the disk is full"), Failed(FailureReason.HANDLER, "the disk is full", retryable=True)),
        (Fatal("no such page"), Failed(FailureReason.HANDLER, "no such page", retryable=False)),
        (
            RateLimited("three a minute", retry_after=20.0),
            HandedBack(HandBackReason.RATE_LIMITED, "three a minute", 20.0),
        ),
        (RateLimited(), HandedBack(HandBackReason.RATE_LIMITED, "rate limited", None)),
        (Wrong("secret"), Failed(FailureReason.HANDLER, "the worker's handler raised Wrong", retryable=True)),
        (
            SystemExit(3),
            Failed(FailureReason.HANDLER, "the worker's handler asked to exit with 3", retryable=False),
        ),
        (
            asyncio.CancelledError(),
            Failed(FailureReason.HANDLER, "the worker's handler was cancelled by its own code", retryable=True),
        ),
    ],
)
async def test_what_a_handler_raises_is_the_outcome(
    emit: Listener, kind: str, error: BaseException, outcome: Outcome
) -> None:
    """Its own failures word by word; of anything else only the name, for the rest may hold secrets."""
    assert await outcome_of(raising(kind, error), emit) == outcome


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_iteration_that_slips_out_is_a_failure_like_any_other(emit: Listener, kind: str) -> None:
    outcome = await outcome_of(raising(kind, StopIteration()), emit)
    assert outcome == Failed(FailureReason.HANDLER, "the worker's handler raised RuntimeError", retryable=True)


async def test_what_is_no_text_is_refused(emit: Listener) -> None:
    async def generator(task: Task) -> AsyncGenerator[object, None]:
        yield 5

    for handler in (lambda _: 5, generator):
        assert await outcome_of(handler, emit) == Failed(
            FailureReason.HANDLER, "the handler must answer with text or nothing, not int", retryable=False
        )


async def test_a_message_that_could_not_travel_is_made_to(emit: Listener) -> None:
    """A file's undecodable name, and a page of output."""
    error = Fatal("no file \udc80" + "x" * 10_000)
    outcome = await outcome_of(raising("plain", error), emit)
    assert isinstance(outcome, Failed)
    assert outcome.message == "no file ?" + "x" * 1_991


@pytest.mark.parametrize("retry_after", [-1.0, float("nan"), float("inf"), 1e9])
def test_nobody_is_asked_for_impossible_patience(retry_after: float) -> None:
    with pytest.raises(ValueError, match="must be 0 to 86400 seconds"):
        RateLimited(retry_after=retry_after)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_owner_hears_of_errors(emit: Listener, kind: str) -> None:
    error = Wrong("of mine")
    errors: list[Exception] = []
    async with taking(raising(kind, error), errors) as agent:
        await agent.run(an_assignment(), emit)
    assert errors == [error]


async def test_an_owner_who_fails_to_hear_of_an_error_changes_no_outcome(emit: Listener) -> None:
    def on_error(error: Exception) -> None:
        raise Wrong(error)

    loop = OwnersLoop()
    agent = HandlerAgent(raising("plain", Fatal("no such page")), loop, on_error)
    loop.start()
    assert await agent.run(an_assignment(), emit) == Failed(FailureReason.HANDLER, "no such page", retryable=False)
    loop.stop()


async def test_emit_waits_while_too_much_is_under_way(emit: Listener) -> None:
    """Each of these is more than may wait: the second has no room before the first was passed on."""
    pages = ["one" * 10_000, "two" * 10_000, "three" * 10_000]
    emitted: list[str] = []

    async def handle(task: Task) -> None:
        for page in pages:
            await task.emit(page)
            emitted.append(page)

    emit.gate.clear()
    async with taking(handle) as agent, asyncio.timeout(PATIENCE):
        running = asyncio.create_task(agent.run(an_assignment(), emit))
        await emit.arrived.wait()
        assert emit.heard == [Text(pages[0])]
        assert emitted in ([], pages[:1])
        emit.gate.set()
        assert await running == WELL
    assert emitted == pages
    assert emit.heard == [Text(page) for page in pages]


async def test_others_have_their_turn_however_fast_a_handler_speaks() -> None:
    """Again and again, and long before it has to wait for room."""
    task = Task("t1", 1, "p1", "s1", "default", "sim", "", "", (), {}, Mouth())
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            turn = asyncio.create_task(asyncio.sleep(0))
            while not turn.done():
                await task.emit("")


async def test_a_plain_function_may_yield_and_may_block_as_it_likes(emit: Listener) -> None:
    def handle(task: Task) -> Iterator[str]:
        task.progress_sync("looking")
        yield "one "
        task.emit_sync("two ")
        yield "three"

    async with taking(handle) as agent:
        assert await agent.run(an_assignment(), emit) == WELL
    assert emit.heard == [Progress("looking"), Text("one "), Text("two "), Text("three")]


async def test_progress_is_no_part_of_the_answer(emit: Listener) -> None:
    async def handle(task: Task) -> str:
        await task.progress("page 1 of 2")
        return "done"

    async with taking(handle) as agent:
        await agent.run(an_assignment(), emit)
    assert emit.heard == [Progress("page 1 of 2"), Text("done")]


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_blocking_handler_blocks_only_itself(emit: Listener, kind: str) -> None:
    """The worker's own loop turns, and other plain functions run."""
    blocks, gate = threading.Event(), threading.Event()

    def plain(task: Task) -> str:
        blocks.set()
        return "freed" if gate.wait(PATIENCE) else "stuck"

    async def coroutine(task: Task) -> str:
        return plain(task)

    async with taking({"plain": plain, "coroutine": coroutine}[kind]) as agent, asyncio.timeout(PATIENCE):
        running = asyncio.create_task(agent.run(an_assignment(), emit))
        assert await asyncio.to_thread(blocks.wait, PATIENCE)
        gate.set()
        assert await running == WELL
    assert emit.heard == [Text("freed")]


async def test_an_error_handler_that_blocks_does_not_block_the_worker(emit: Listener) -> None:
    blocks, gate, freed = threading.Event(), threading.Event(), []

    def on_error(error: Exception) -> None:
        blocks.set()
        freed.append(gate.wait(PATIENCE))

    loop = OwnersLoop()
    agent = HandlerAgent(raising("coroutine", Wrong()), loop, on_error)
    loop.start()
    running = asyncio.create_task(agent.run(an_assignment(), emit))
    assert await asyncio.to_thread(blocks.wait, PATIENCE)
    gate.set()
    await running
    loop.stop()
    assert freed == [True]


async def test_plain_functions_run_all_at_once_however_many_they_are(emit: Listener) -> None:
    """None waits for a thread: the Router counted a slot for each."""
    together = threading.Barrier(50)

    def handle(task: Task) -> None:
        together.wait(PATIENCE)

    async with taking(handle) as agent, asyncio.TaskGroup() as group:
        runs = [group.create_task(agent.run(an_assignment(f"t{number}"), emit)) for number in range(50)]
    assert [run.result() for run in runs] == [WELL] * 50


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_the_context_of_a_run_reaches_its_handler(emit: Listener, kind: str) -> None:
    """The trace goes on there."""
    trace = ContextVar("trace", default="none")

    def plain(task: Task) -> str:
        return trace.get()

    async def coroutine(task: Task) -> str:
        return trace.get()

    trace.set("of the run")
    await outcome_of({"plain": plain, "coroutine": coroutine}[kind], emit)
    assert emit.heard == [Text("of the run")]
