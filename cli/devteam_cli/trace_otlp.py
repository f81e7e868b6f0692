"""A trace as OTLP writes it in JSON: hexadecimal ids, numbers for enums, 64-bit numbers as texts."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby

from devteam.mesh import names
from devteam.traces import Span, SpanEvent, SpanKind, SpanLink

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {kind: number for number, kind in enumerate(SpanKind, 1)} | {SpanKind.UNKNOWN: 0}
_ERROR = 2
# Of the process rather than of the span: the mesh keeps them with each span.
_OF_RESOURCE = ("service.instance.id", "host.name")


def otlp_json(spans: Iterable[Span]) -> dict[str, object]:
    """The spans by the processes that they come from, as a TracesData.

    What the mesh keeps as text is given the type that it reads as: a text that reads as a number becomes one.
    """
    groups = groupby(sorted(spans, key=_resource_of), key=_resource_of)
    return {"resourceSpans": [_process(dict(resource), members) for resource, members in groups]}


def _resource_of(span: Span) -> tuple[tuple[str, str], ...]:
    told = ((key, span.attributes[key]) for key in _OF_RESOURCE if key in span.attributes)
    return (("service.name", span.service), *told)


def _process(resource: Mapping[str, str], spans: Iterable[Span]) -> dict[str, object]:
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    scope_spans = [{"scope": {"name": names.SCOPE}, "spans": [_span(span, resource) for span in spans]}]
    return {"resource": {"attributes": attributes}, "scopeSpans": scope_spans}


def _span(span: Span, resource: Mapping[str, str]) -> dict[str, object]:
    own = {key: value for key, value in span.attributes.items() if key not in resource}
    return {
        "traceId": span.trace_id,
        "spanId": span.id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": _nanos(span.start),
        "endTimeUnixNano": _nanos(span.end),
        "attributes": _attributes(own),
        "events": list(map(_event, span.events)),
        "links": list(map(_link, span.links)),
        "status": {"code": _ERROR, "message": span.error} if span.failed else {},
    }


def _event(event: SpanEvent) -> dict[str, object]:
    return {"timeUnixNano": _nanos(event.time), "name": event.name, "attributes": _attributes(event.attributes)}


def _link(link: SpanLink) -> dict[str, object]:
    return {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes(link.attributes)}


def _nanos(moment: datetime) -> str:
    return str((moment - _EPOCH) // timedelta(microseconds=1) * 1000)


def _attributes(attributes: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(_read(text))} for key, text in attributes.items()]


def _read(text: str) -> object:
    try:
        value = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return text
    # Quotation marks of its own are part of a text, and a number that is too large for JSON stays as it was written.
    is_text = isinstance(value, str) or value is None or (isinstance(value, float) and not math.isfinite(value))
    return text if is_text else value


def _refused(constant: str) -> object:
    """Python reads NaN as a number, JSON does not."""
    raise ValueError(constant)


def _value(value: object) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int() if -(2**63) <= value < 2**63:
            return {"intValue": str(value)}
        case float() if math.isfinite(value):
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": list(map(_value, value))}}
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": _value(item)} for key, item in value.items()]}}
        case None:
            return {}
    return {"stringValue": str(value)}
