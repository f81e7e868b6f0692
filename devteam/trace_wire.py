"""Traces, to and from the contract's messages. Pure functions, named by direction."""

from datetime import UTC

from devteam.scalars import member_from_proto
from devteam.traces import Span, SpanEvent, SpanKind, SpanLink, Trace
from devteam.v1 import trace_pb2 as pb


def trace_from_proto(trace_id: str, answer: pb.GetTraceResponse) -> Trace:
    """The trace."""
    return Trace(trace_id, tuple(map(span_from_proto, answer.spans)), answer.truncated)


def span_from_proto(span: pb.Span) -> Span:
    """The span."""
    return Span(
        id=span.span_id,
        trace_id=span.trace_id,
        name=span.name,
        start=span.start.ToDatetime(tzinfo=UTC),
        end=span.end.ToDatetime(tzinfo=UTC),
        parent_id=span.parent_span_id,
        kind=member_from_proto(SpanKind, pb.SpanKind.Name, span.kind, "SPAN_KIND_"),
        service=span.service,
        attributes=dict(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.time.ToDatetime(tzinfo=UTC), dict(event.attributes)) for event in span.events
        ),
        links=tuple(SpanLink(link.trace_id, link.span_id, dict(link.attributes)) for link in span.links),
        failed=span.failed,
        error=span.error,
    )


def span_to_proto(span: Span) -> pb.Span:
    """The contract's span."""
    message = pb.Span(
        trace_id=span.trace_id,
        span_id=span.id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=_kind_to_proto(span.kind),
        service=span.service,
        attributes=span.attributes,
        links=[
            pb.SpanLink(trace_id=link.trace_id, span_id=link.span_id, attributes=link.attributes) for link in span.links
        ],
        failed=span.failed,
        error=span.error,
    )
    message.start.FromDatetime(span.start)
    message.end.FromDatetime(span.end)
    for event in span.events:
        message.events.add(name=event.name, attributes=event.attributes).time.FromDatetime(event.time)
    return message


def _kind_to_proto(kind: SpanKind) -> "pb.SpanKind.ValueType":
    return pb.SPAN_KIND_UNSPECIFIED if kind is SpanKind.UNKNOWN else pb.SpanKind.Value(f"SPAN_KIND_{kind.name}")
