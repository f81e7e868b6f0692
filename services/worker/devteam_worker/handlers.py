"""The worker owner's own code, run where it can block nothing but itself."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog

from devteam_worker.domain import Assignment, Completed, Emit, Failed, HandBackReason, HandedBack, Outcome
from devteam_worker.failures import Fatal, RateLimited, Retryable
from devteam_worker.providers.base import FailureReason, Text

_log = structlog.get_logger()

_LONGEST_MESSAGE = 2_000
# Whom outcomes name where a model's provider would stand.
_PROVIDER = "handler"

# Takes a Task; may be async or not, and may return text, or yield it piece by piece.
Handler = Callable[["Task"], Any]


@dataclass(slots=True)
class Task:
    """A task, as a handler sees it."""

    id: str
    attempt: int
    plan_id: str
    step_id: str
    queue: str
    model: str
    prompt: str
    system_prompt: str
    tools: tuple[str, ...]
    options: dict[str, object]
    _emit: Callable[[str], Awaitable[None]]
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any longer. Code that blocks should look now and then."""
        return self._stopped.is_set()

    async def emit(self, text: str) -> None:
        """Stream a piece of the answer. Waits while too much of it is under way. Raises Fatal if it is no text."""
        if not isinstance(text, str):
            raise Fatal(f"the handler must answer with text or nothing, not {type(text).__name__}")
        await self._emit(text)


class HandlerAgent:
    """Runs assignments by calling a handler in an event loop of its own, in a thread of its own.

    Plain functions run in further threads, one each. However long any of it blocks, beats and streams go on. `on_error`
    is called where the handler runs, with what it raised.
    """

    def __init__(self, handler: Handler, on_error: Callable[[Exception], None] = lambda _: None) -> None:
        self._handler = handler
        self._on_error = on_error
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        # Daemons, all of them: code that never returns must not keep the process.
        self._thread = threading.Thread(target=self._turn, name="handlers", daemon=True)

    def start(self) -> None:
        """Begin to take assignments."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more. A handler that still blocks ends with the process."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def run(self, assignment: Assignment, emit: Emit) -> Outcome:
        """Call the handler. What it raises is an outcome."""
        home = asyncio.get_running_loop()

        async def emit_from_there(text: str) -> None:
            sent = asyncio.run_coroutine_threadsafe(_emitted(emit, text), home)
            await asyncio.wrap_future(sent)

        task = _task(assignment, emit_from_there)
        handling = _Elsewhere(self._loop, self._handled(task))
        try:
            return await handling.outcome()
        except asyncio.CancelledError:
            task._stopped.set()  # noqa: SLF001 - this module's own class, read by the handler
            await handling.stopped()
            raise

    def _turn(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stopped.wait())

    async def _handled(self, task: Task) -> Outcome:
        try:
            await _called(self._handler, task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return self._failed(Retryable("the worker's handler was cancelled by its own code"))
        except SystemExit as error:
            return self._failed(Fatal(f"the worker's handler asked to exit with {error.code}"))
        except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises is an outcome
            return self._failed(error)
        return Completed(_PROVIDER, model=task.model, stop_reason="end")

    def _failed(self, error: Exception) -> Outcome:
        try:
            self._on_error(error)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("on_error raised")
        return _outcome_of(error)


def _outcome_of(error: Exception) -> Outcome:
    match error:
        case RateLimited():
            return HandedBack(HandBackReason.RATE_LIMITED, _text_of(error), error.retry_after)
        case Retryable() | Fatal():
            return Failed(FailureReason.HANDLER, _text_of(error), retryable=isinstance(error, Retryable))
        case _:
            _log.error("handler raised", exc_info=error)
            return Failed(FailureReason.HANDLER, f"the worker's handler raised {type(error).__name__}", retryable=True)


def _text_of(error: Exception) -> str:
    """What it says, as far as it can travel."""
    return str(error)[:_LONGEST_MESSAGE].encode(errors="replace").decode()


async def _called(handler: Handler, task: Task) -> None:
    if inspect.isasyncgenfunction(handler):
        await _stream(handler(task), task)
    elif inspect.iscoroutinefunction(handler):
        await _finish(await handler(task), task)
    else:
        await _finish(await _in_a_thread(handler, task), task)


class _Elsewhere:
    """A coroutine at work in the event loop of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Outcome]) -> None:
        self._loop = loop
        self._task: asyncio.Task[Outcome] | None = None
        self._over: Future[asyncio.Task[Outcome]] = Future()
        self._over.set_running_or_notify_cancel()
        loop.call_soon_threadsafe(self._begin, work)

    async def outcome(self) -> Outcome:
        """Wait for its end. Cancellation leaves it at work."""
        return (await asyncio.wrap_future(self._over)).result()

    async def stopped(self) -> None:
        """Cancel it, and wait until it has really ended."""
        self._loop.call_soon_threadsafe(self._cancel)
        await asyncio.wrap_future(self._over)

    def _begin(self, work: Coroutine[Any, Any, Outcome]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._over.set_result)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _in_a_thread(handler: Handler, task: Task) -> object:
    """As asyncio.to_thread, with a thread for each call: none waits for another, and none keeps the process."""
    called: Future[tuple[object, BaseException | None]] = Future()
    called.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def call() -> None:
        # A pair, since a future refuses to carry a StopIteration.
        try:
            answered: tuple[object, BaseException | None] = context.run(handler, task), None
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answered = None, error
        called.set_result(answered)

    threading.Thread(target=call, name=f"handler of {task.id}", daemon=True).start()
    ended = asyncio.wrap_future(called)
    try:
        answer, error = await asyncio.shield(ended)
    except asyncio.CancelledError:
        # Nothing stops code in a thread; it may look at `task.cancelled`.
        await ended
        raise
    if error is not None:
        raise error
    return answer


async def _stream(pieces: AsyncGenerator[str, None], task: Task) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            await task.emit(piece)


async def _finish(answer: Any, task: Task) -> None:
    if answer is not None:
        await task.emit(answer)


async def _emitted(emit: Emit, text: str) -> None:
    await emit(Text(text))


def _task(assignment: Assignment, emit: Callable[[str], Awaitable[None]]) -> Task:
    prompt = assignment.prompt
    return Task(
        assignment.id.task_id,
        assignment.id.number,
        assignment.plan_id,
        assignment.step_id,
        assignment.queue,
        prompt.model,
        prompt.prompt,
        prompt.system_prompt,
        prompt.tools,
        dict(prompt.options),
        emit,
    )
