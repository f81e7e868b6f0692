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
from devteam_worker.owner_task import Task
from devteam_worker.providers.base import FailureReason

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

    def __init__(
        self, handler: Handler, loop: OwnersLoop, on_error: Callable[[Exception], None] = lambda _: None
    ) -> None:
        self._handler = handler
        self._loop = loop
        self._on_error = on_error

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        """Call the handler. What it raises is an outcome; what it takes, nobody knows."""
        mouth = Mouth()
        task = _task(assignment, mouth)
        handling = self._loop.begin(self._handled(task))
        handling.when_over(mouth.shut)
        try:
            async with aclosing(mouth.sayings()) as sayings:
                async for saying in sayings:
                    await emit(saying)
            return await handling.outcome()
        except asyncio.CancelledError:
            task.stop()
            mouth.shut()
            await handling.stopped()
            raise

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


def _task(assignment: Assignment, mouth: Mouth) -> Task:
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
        mouth,
    )
