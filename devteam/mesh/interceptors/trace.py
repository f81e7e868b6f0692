"""One server span a call, joined to the caller's trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.call import Call
from devteam.mesh.status import code_name

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
        except DevTeamError as error:
            _failed(span, code_name(error), error.reason)
            raise
        except asyncio.CancelledError:
            _failed(span, "CANCELLED", "CANCELLED")
            raise
        except Exception as error:
            _failed(span, "INTERNAL", type(error).__name__)
            raise
        span.set_attribute(names.RPC_STATUS, "OK")


def _failed(span: Span, code: str, reason: str) -> None:
    span.set_attribute(names.RPC_STATUS, code)
    span.set_attribute(names.ERROR_TYPE, reason)
    if code in _SERVER_ERRORS:
        span.set_status(Status(StatusCode.ERROR, reason))
