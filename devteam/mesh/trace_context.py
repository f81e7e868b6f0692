"""A trace that travels inside messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# What is kept outlives every setting of this process: always in W3C's words.
_w3c = TraceContextTextMapPropagator()


def carried() -> dict[str, str]:
    """The current trace context as a map, to travel inside a message."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def joined(carrier: Mapping[str, str]) -> Iterator[None]:
    """Go on with the trace that a message carried."""
    token = context.attach(propagate.extract(dict(carrier)))
    try:
        yield
    finally:
        context.detach(token)


def trace_id_of(carrier: Mapping[str, str]) -> str:
    """The id of the trace that a message carried, as 32 hexadecimal digits; "" without one."""
    found = trace.get_current_span(propagate.extract(dict(carrier), context.Context())).get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else ""


def traceparent_of(span: Span) -> str:
    """A span as one line of text, to be kept; "" for one that is in no trace."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier.get("traceparent", "")


def span_context_of(traceparent: str) -> SpanContext | None:
    """The span that was kept as this text, to be linked to; None for none."""
    kept = _w3c.extract({"traceparent": traceparent}, context.Context())
    found = trace.get_current_span(kept).get_span_context()
    return found if found.is_valid else None
