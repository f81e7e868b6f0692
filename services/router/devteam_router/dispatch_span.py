"""What becomes of a dispatch, as its span shows it; the wait for a worker is a span of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span

from devteam.mesh import names
from devteam_router.dispatch import AssignedTo, Dispatch, Event, Stage, ToldToStop, Waits
from devteam_router.domain import Decision, Run, WaitReason, WorkerInstance

_tracer = trace.get_tracer(names.SCOPE)


class DispatchSpan:
    """Hears the events of one dispatch, within the span of its call.

    `waits`: it looks for a worker. Otherwise it was placed before, and hears of that decision once more.
    """

    def __init__(self, run: Run, *, waits: bool) -> None:
        self._call = trace.get_current_span()
        self._run = run
        self._placed_before = not waits
        self._wait: Span | None = None
        if waits:
            self._wait = self._begun()

    def hear(self, event: Event) -> None:
        """One of its events. Tokens leave no mark."""
        match event:
            case Waits():
                self._waits(event)
            case AssignedTo():
                self._assigned(event)
            case ToldToStop():
                self._call.add_event(names.EVENT_WORKER_TOLD, {names.WORKER_ID: event.worker.worker_id})

    def close(self) -> None:
        """The call is over; whatever waits still waits unseen."""
        if self._wait is not None:
            self._wait.end()

    def _begun(self) -> Span:
        attributes: dict[str, str | int] = {
            names.TASK_ID: self._run.id.task_id,
            names.ATTEMPT: self._run.id.number,
            names.QUEUE: self._run.signature.queues[0],
            names.TENANT: self._run.tenant,
        }
        return _tracer.start_span(names.SPAN_QUEUE_WAIT, attributes=attributes)

    def _waits(self, event: Waits) -> None:
        told = {names.WAIT_REASON: event.wait.reason.value, names.QUEUE: event.queue}
        if event.wait.reason is WaitReason.WORKER_RECONNECTING:
            # It has a worker, and waits in no queue.
            self._call.add_event(names.EVENT_WAITING, told)
            return
        self._wait = self._wait or self._begun()
        if event.wait.reason is not WaitReason.PROVIDER_THROTTLED:
            # That detail is in a provider's words, who may quote what it was asked.
            told[names.WAIT_DETAIL] = event.wait.detail
        self._wait.add_event(names.EVENT_WAITING, told)

    def _assigned(self, event: AssignedTo) -> None:
        if event.adopted:
            self._call.add_event(names.EVENT_ADOPTED, {names.WORKER_ID: event.worker.worker_id})
        elif not self._placed_before:
            self._wait = self._wait or self._begun()
            _decide(self._wait, event.decision)
            self._wait.set_attribute(names.WORKER_ID, event.worker.worker_id)
        self._placed_before = False
        self.close()
        self._wait = None


@contextmanager
def followed(run: Run, held: Dispatch | None, assigned: WorkerInstance | None) -> Iterator[DispatchSpan]:
    """The body follows the dispatch of `run`; a call that goes on with what an earlier one began says so.

    `held`: what the Router had of it before. `assigned`: the worker that its Planner knew to have it.
    """
    if held is not None and held.stage is not Stage.UNCLAIMED:
        trace.get_current_span().add_event(names.EVENT_RESUMED)
    waits = assigned is None if held is None else held.stage is Stage.WAITING
    span = DispatchSpan(run, waits=waits)
    try:
        yield span
    finally:
        span.close()


def _decide(span: Span, decision: Decision) -> None:
    span.set_attribute(names.STRATEGY, decision.strategy.value)
    span.set_attribute(names.QUEUE, decision.queue)
    span.set_attribute(names.PLACEMENT, decision.reason)
    span.set_attribute(names.PLACEMENT_ELIGIBLE, decision.eligible)
    span.set_attribute(names.PLACEMENT_TIED, decision.tied)
    span.set_attribute(names.WAITED, decision.waited)
