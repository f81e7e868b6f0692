"""Spans as tests make them, and as they find them in a store."""

from contextlib import closing
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from devteam.mesh.spans.file import connected
from devteam.mesh.spans.record import Record
from devteam.mesh.spans.store import SpanStore
from devteam.trace_wire import span_from_proto
from devteam.traces import Span
from devteam.v1 import trace_pb2

TRACE = "0af7651916cd43dd8448eb211c80319c"
# In nanoseconds since 1970: 2023-11-14 22:13:20.
BEGIN = 1_700_000_000_000_000_000


def record(trace: int = 1, span: int = 1, *, start: int = BEGIN, size: int = 0, tenant: str = "") -> Record:
    """A span for a store, with a name of `size` characters."""
    message = trace_pb2.Span(trace_id=f"{trace:032x}", span_id=f"{span:016x}", name="x" * size)
    return Record(trace.to_bytes(16, "big"), span.to_bytes(8, "big"), start, message.SerializeToString(), tenant)


def otlp_span(span: int = 1, **fields: Any) -> OtlpSpan:
    """A span in OTLP, in the trace `TRACE`, a millisecond long."""
    given: dict[str, Any] = {
        "trace_id": bytes.fromhex(TRACE),
        "span_id": span.to_bytes(8, "big"),
        "name": f"span {span}",
        "start_time_unix_nano": BEGIN,
        "end_time_unix_nano": BEGIN + 1_000_000,
    }
    return OtlpSpan(**(given | fields))


def otlp_request(*spans: OtlpSpan, **resource: str) -> ExportTraceServiceRequest:
    """What an exporter sends; `resource` by its names with underscores for dots."""
    attributes = [attribute(name.replace("_", "."), string_value=value) for name, value in resource.items()]
    group = ResourceSpans(resource=Resource(attributes=attributes), scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[group])


def attribute(key: str, **value: Any) -> KeyValue:
    """One attribute in OTLP."""
    return KeyValue(key=key, value=AnyValue(**value))


def stored_spans(file: Path, trace_id: str = "") -> list[Span]:
    """The spans in a store, of one trace or of its largest, by their start."""
    store = SpanStore(file)
    wanted = bytes.fromhex(trace_id) if trace_id else store.largest()
    found = store.spans_of(wanted, 1_000_000) if wanted else []
    return [span_from_proto(trace_pb2.Span.FromString(data)) for data in found]


def all_stored_spans(file: Path) -> list[Span]:
    """The spans in a store, of all its traces."""
    return [span for trace_id in stored_traces(file) for span in stored_spans(file, trace_id.hex())]


def stored_traces(file: Path) -> list[bytes]:
    """The ids of all traces in a store, those told of last at the end."""
    if not file.exists():
        return []
    with closing(connected(file)) as connection:
        return [trace_id for (trace_id,) in connection.execute("SELECT trace_id FROM traces ORDER BY told")]
