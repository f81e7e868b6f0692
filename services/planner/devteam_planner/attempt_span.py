"""What a driver does for an attempt, as a span: from where it began it, or took it up, to where it let go of it."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.errors import DevTeamError
from devteam.mesh.trace_context import span_context_of, traceparent_of
from devteam_planner.domain import Task, TaskState
from devteam_planner.ports import Ending, PlanStore, RunAssigned
from devteam_planner.retry_policy import brief

_tracer = trace.get_tracer(names.SCOPE)

_EARLIER, _SAME = "earlier attempt", "same attempt"
# Until something else is known: whoever drove it was stopped, or found that somebody else does.
_LEFT = "left"
_REQUEUED = "requeued"


class AttemptSpans:
    """The spans of one driver of one task, one at a time; leaving the block ends the last one.

    Spans of one task form a chain: each has a link to that of the attempt before, or to that of the driver which began
    the same attempt. Log lines meanwhile carry the attempt's number.
    """

    def __init__(self, store: PlanStore) -> None:
        self._store = store
        self._number = 0
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    async def begin(self, task: Task, reason: str) -> str:
        """From now on it is about the attempt after the newest. Returns what later ones need for a link to this."""
        span = self._enter(task, task.attempt + 1)
        span.set_attribute(names.ATTEMPT_REASON, brief(reason))
        if task.attempt:
            await self._link(span, task, _EARLIER)
        return traceparent_of(span)

    async def take_up(self, task: Task) -> None:
        """From now on it is about the attempt that is open, if there is one and it is another."""
        if not task.attempt_open:
            self.leave()
        elif task.attempt != self._number:
            span = self._enter(task, task.attempt)
            span.add_event(names.EVENT_RESUMED)
            await self._link(span, task, _SAME)

    def leave(self) -> None:
        """It is about no attempt any longer."""
        self._number = 0
        self._entered.close()

    def _enter(self, task: Task, number: int) -> Span:
        self.leave()
        self._number = number
        attributes: dict[str, str | int] = {
            names.TASK_ID: task.task_id,
            names.ATTEMPT: number,
            names.PLAN_ID: task.plan_id,
            names.STEP_ID: task.step_id,
            names.TENANT: task.tenant,
            names.OUTCOME: _LEFT,
        }
        self._entered.enter_context(structlog.contextvars.bound_contextvars(attempt=number))
        return self._entered.enter_context(
            _tracer.start_as_current_span(f"{names.SPAN_ATTEMPT} {task.step_id}", attributes=attributes)
        )

    async def _link(self, span: Span, task: Task, why: str) -> None:
        if not span.is_recording():
            return
        attempt = await self._store.attempt(task.task_id, task.attempt)
        linked = attempt and span_context_of(attempt.traceparent)
        if linked:
            span.add_link(linked, {names.LINK: why})


def assigned(event: RunAssigned) -> None:
    """A worker has the attempt of the current span."""
    span = trace.get_current_span()
    span.set_attribute(names.WORKER_ID, event.worker.worker_id)
    span.set_attribute(names.QUEUE, event.queue)
    if event.adopted:
        span.add_event(names.EVENT_ADOPTED, {names.WORKER_ID: event.worker.worker_id})


def interrupted(error: DevTeamError) -> None:
    """The Router, or the store, let go of it; it is dispatched again."""
    trace.get_current_span().add_event(names.EVENT_INTERRUPTED, {names.INTERRUPTION: error.reason})


def ended(ending: Ending) -> None:
    """It is over, and that is stored."""
    span = trace.get_current_span()
    span.set_attribute(names.OUTCOME, _REQUEUED if ending.state is TaskState.QUEUED else ending.state.value)
    if ending.given_back is not None:
        span.set_attribute(names.GIVEN_BACK, ending.given_back.value)
    if ending.failure is not None:
        span.set_attribute(names.ERROR_TYPE, ending.failure.reason.value)
        span.set_status(Status(StatusCode.ERROR, ending.failure.reason.value))
