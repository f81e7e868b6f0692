"""One server span a call, joined to the caller's trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.call import Call

_tracer = trace.get_tracer(names.SCOPE)


@asynccontextmanager
async def trace_layer(call: Call) -> AsyncIterator[None]:
    """Make the call a span, unless it is one of `names.UNTRACED`."""
    if call.method in names.UNTRACED:
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
        except DevTeamError as error:
            span.set_attribute(names.ERROR_TYPE, error.reason)
            span.set_status(Status(StatusCode.ERROR, error.reason))
            raise
        except Exception as error:
            span.set_attribute(names.ERROR_TYPE, type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
