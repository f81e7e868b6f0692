"""From OTLP to what the store keeps, all of it bounded. Pure functions, named by direction."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from devteam.mesh import names
from devteam.mesh.spans.ownership import marked
from devteam.mesh.spans.record import Record
from devteam.mesh.spans.values import MAX_ATTRIBUTES, MAX_VALUE_BYTES, attributes_from_otlp, cut
from devteam.v1 import trace_pb2 as pb

_Part = TypeVar("_Part", pb.SpanEvent, pb.SpanLink)

MAX_SPANS = 10_000
_MAX_NAME_BYTES = 512
# Of each span, and together no more than leaves room for others in an answer.
_MAX_EVENTS = _MAX_LINKS = 128
_MAX_SPAN_BYTES = 1024 * 1024
_NANOS = 1_000_000_000
# In the year 2262: what SQLite can keep.
_LAST_NANO = 2**63 - 1
# Of the resource, kept with each span: where it came from.
_ORIGIN = ("service.instance.id", "host.name")


@dataclass(frozen=True, slots=True)
class Taken:
    """The spans of one request that can be kept, how many cannot, and why, in a sentence."""

    records: list[Record]
    refused: int
    why: str


def taken_from_request(request: ExportTraceServiceRequest, mark: str | None = None) -> Taken:
    """What can be kept of a request; `mark` as in ownership.marked."""
    records: list[Record] = []
    refused: Counter[str] = Counter()
    for service, origin, span in _spans(request):
        complaint = _complaint(span) if len(records) < MAX_SPANS else f"a request may hold {MAX_SPANS} spans"
        if complaint:
            refused[complaint] += 1
        else:
            records.append(_record(service, origin, span, mark))
    return Taken(records, refused.total(), "; ".join(f"{count} x {why}" for why, count in refused.items()))


def _spans(request: ExportTraceServiceRequest) -> Iterator[tuple[str, Mapping[str, str], otlp.Span]]:
    for group in request.resource_spans:
        told = attributes_from_otlp(group.resource.attributes)
        service = cut(told.get("service.name", ""), _MAX_NAME_BYTES)
        origin = {key: told[key] for key in _ORIGIN if told.get(key)}
        for scope in group.scope_spans:
            for span in scope.spans:
                yield service, origin, span


def _complaint(span: otlp.Span) -> str:
    """What is wrong with a span beyond repair; empty if nothing is."""
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "trace_id must have 16 bytes that are not all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "span_id must have 8 bytes that are not all zero"
    if span.parent_span_id and len(span.parent_span_id) != 8:
        return "parent_span_id must have 8 bytes, or none"
    if not 0 < span.start_time_unix_nano <= _LAST_NANO or not 0 < span.end_time_unix_nano <= _LAST_NANO:
        return "start_time_unix_nano and end_time_unix_nano must be set, and before the year 2262"
    return ""


def _record(service: str, origin: Mapping[str, str], span: otlp.Span, mark: str | None) -> Record:
    attributes = attributes_from_otlp(span.attributes)
    message = pb.Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() if any(span.parent_span_id) else "",
        name=cut(span.name, _MAX_NAME_BYTES),
        kind=_kind(span.kind),
        service=service,
        start=_timestamp(span.start_time_unix_nano),
        # A clock that was set back meanwhile makes no negative length.
        end=_timestamp(max(span.start_time_unix_nano, span.end_time_unix_nano)),
        attributes=dict(islice((attributes | {**origin, **attributes}).items(), MAX_ATTRIBUTES)),
        failed=span.status.code == otlp.Status.STATUS_CODE_ERROR,
        error=cut(span.status.message, MAX_VALUE_BYTES),
    )
    marked(message, mark)
    room = _MAX_SPAN_BYTES - message.ByteSize()
    message.events.extend(_fitting(map(_event, islice(span.events, _MAX_EVENTS)), room // 2))
    message.links.extend(_fitting(map(_link, islice(filter(_is_link, span.links), _MAX_LINKS)), room // 2))
    whose = message.attributes.get(names.TENANT, "")
    return Record(span.trace_id, span.span_id, span.start_time_unix_nano, message.SerializeToString(), whose)


def _fitting(parts: Iterable[_Part], room: int) -> Iterator[_Part]:
    for part in parts:
        room -= part.ByteSize()
        if room < 0:
            return
        yield part


def _event(event: otlp.Span.Event) -> pb.SpanEvent:
    return pb.SpanEvent(
        name=cut(event.name, _MAX_NAME_BYTES),
        time=_timestamp(min(event.time_unix_nano, _LAST_NANO)),
        attributes=attributes_from_otlp(event.attributes),
    )


def _is_link(link: otlp.Span.Link) -> bool:
    return len(link.trace_id) == 16 and len(link.span_id) == 8


def _link(link: otlp.Span.Link) -> pb.SpanLink:
    attributes = attributes_from_otlp(link.attributes)
    return pb.SpanLink(trace_id=link.trace_id.hex(), span_id=link.span_id.hex(), attributes=attributes)


def _kind(number: int) -> "pb.SpanKind.ValueType":
    # The same numbers in both contracts.
    return next((kind for kind in pb.SpanKind.values() if kind == number), pb.SPAN_KIND_UNSPECIFIED)


def _timestamp(nanos: int) -> Timestamp:
    seconds, rest = divmod(nanos, _NANOS)
    return Timestamp(seconds=seconds, nanos=rest)
