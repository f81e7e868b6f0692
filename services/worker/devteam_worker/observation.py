"""A run, as traces and logs see it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.trace_context import joined
from devteam_worker.domain import Assignment, Failed, Outcome

_log = structlog.get_logger()
_tracer = trace.get_tracer(names.SCOPE)


class Observation:
    """The span of one run."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def note(self, event: str) -> None:
        """Something happened: one of `names`' events."""
        self._span.add_event(event)

    def ended(self, outcome: Outcome, last_seq: int) -> None:
        """The run is over."""
        _ended(self._span, outcome, last_seq)


@contextmanager
def observed(assignment: Assignment) -> Iterator[Observation]:
    """Make the body the run's span, in the trace that came with it. Tell what it yields how the run ended."""
    attempt = assignment.id
    attributes: dict[str, str | int] = {
        names.TASK_ID: attempt.task_id,
        names.ATTEMPT: attempt.number,
        names.PLAN_ID: assignment.plan_id,
        names.STEP_ID: assignment.step_id,
        names.QUEUE: assignment.queue,
    }
    with (
        joined(assignment.trace_context),
        _tracer.start_as_current_span(
            f"{names.SPAN_RUN} {assignment.step_id}",
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            record_exception=False,
        ) as span,
        structlog.contextvars.bound_contextvars(task_id=attempt.task_id, attempt=attempt.number),
    ):
        _log.info("run started", model=assignment.prompt.model, queue=assignment.queue)
        yield Observation(span)


def _ended(span: Span, outcome: Outcome, last_seq: int) -> None:
    kind = type(outcome).__name__.lower()
    span.set_attribute(names.OUTCOME, kind)
    span.set_attribute(names.TOKENS, last_seq)
    if isinstance(outcome, Failed):
        span.set_attribute(names.ERROR_TYPE, outcome.reason)
        span.set_status(Status(StatusCode.ERROR, outcome.reason))
        _log.warning("run failed", reason=outcome.reason, why=outcome.message, tokens=last_seq)
    else:
        _log.info("run ended", outcome=kind, tokens=last_seq)
