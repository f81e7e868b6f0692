"""One server span a call, joined to the caller's trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.interceptors.call import Call
from devteam.mesh.interceptors.outcome import SUCCESS, Outcome, outcome_of

_tracer = trace.get_tracer(names.SCOPE)

# Of these the server is to blame, by the conventions; of all others the caller.
_SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


@asynccontextmanager
async def trace_layer(call: Call) -> AsyncIterator[None]:
    """Make the call a span, if `names.is_traced`."""
    if not names.is_traced(call.method):
        yield
        return
    method = call.method.removeprefix("/")
    with _tracer.start_as_current_span(
        method,
        context=propagate.extract(call.metadata),
        kind=SpanKind.SERVER,
        attributes={names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            _failed(span, outcome_of(error))
            raise
        span.set_attribute(names.RPC_STATUS, SUCCESS.code)


def _failed(span: Span, outcome: Outcome) -> None:
    span.set_attribute(names.RPC_STATUS, outcome.code)
    span.set_attribute(names.ERROR_TYPE, outcome.error_type)
    if outcome.code in _SERVER_ERRORS:
        span.set_status(Status(StatusCode.ERROR, outcome.error_type))
