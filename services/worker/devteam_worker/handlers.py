"""The worker owner's own code, run where it can block nothing but itself."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any

import structlog

from devteam_worker.domain import Assignment, Completed, Emit, Failed, HandBackReason, HandedBack, Outcome, Spend
from devteam_worker.elsewhere import OwnersLoop, begin_in_thread
from devteam_worker.failures import Fatal, RateLimited, Retryable
from devteam_worker.mouth import Mouth
from devteam_worker.owner_task import Task, described
from devteam_worker.providers.base import FailureReason, Text

_log = structlog.get_logger()

_LONGEST_MESSAGE = 2_000
# Whom outcomes name where a model's provider would stand.
_PROVIDER = "handler"

# Takes a Task; may be async or not, and may return text, or yield it piece by piece.
Handler = Callable[[Task], Any]


class HandlerAgent:
    """Runs assignments by calling a handler in the owner's loop; plain functions run in threads, one each.

    `on_error` is called where the handler runs, with what it raised.
    """

    def __init__(self, handler: Handler, loop: OwnersLoop, on_error: Callable[[Exception], None] | None = None) -> None:
        self._handler = handler
        self._loop = loop
        self._on_error = on_error
        self._has_warned = False

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        """Call the handler. What it raises is an outcome; what it takes, nobody knows."""
        mouth = Mouth()
        task = Task(*described(assignment), mouth)
        handling = self._loop.begin(self._handled(task))
        handling.when_over(mouth.shut)
        answered = False
        try:
            async with aclosing(mouth.sayings()) as sayings:
                async for saying in sayings:
                    answered = answered or isinstance(saying, Text)
                    await emit(saying)
            outcome = await handling.outcome()
        except asyncio.CancelledError:
            task.stop()
            mouth.shut()
            await handling.stopped()
            raise
        if not answered and isinstance(outcome, Completed):
            self._warn_of_silence()
        return outcome

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

    def _warn_of_silence(self) -> None:
        """Once: that is how some want it."""
        if self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "the handler neither returned nor emitted anything",
            handler=getattr(self._handler, "__qualname__", repr(self._handler)),
            why="on_task stands in for the model: none is asked, and the task succeeds with an empty output",
            advice="return or emit the answer; to look on while models answer, use on_task_start instead of on_task",
        )

    def _failed(self, error: Exception) -> Outcome:
        try:
            if self._on_error is not None:
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
    elif inspect.isgeneratorfunction(handler):
        await _in_a_thread(lambda: _stream_sync(handler(task), task), task)
    else:
        await _finish(await _in_a_thread(lambda: handler(task), task), task)


async def _in_a_thread(call: Callable[[], object], task: Task) -> object:
    ended = begin_in_thread(call, f"handler of {task.id}")
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        # It has its slot until it has really ended; it may look at `task.cancelled`.
        await asyncio.wait([ended])
        raise


async def _stream(pieces: AsyncGenerator[str, None], task: Task) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            await task.emit(piece)


def _stream_sync(pieces: Generator[str, None, None], task: Task) -> None:
    with closing(pieces):
        for piece in pieces:
            if task.cancelled:
                return
            task.emit_sync(piece)


async def _finish(answer: Any, task: Task) -> None:
    if answer is not None:
        await task.emit(answer)
