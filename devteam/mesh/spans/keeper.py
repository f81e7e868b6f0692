"""Keeps the spans of this process in the store."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from devteam.mesh.errors import Unavailable
from devteam.mesh.spans.otlp import taken_from_request
from devteam.mesh.spans.store import SpanStore


class StoreExporter(SpanExporter):
    """Writes spans to a store, in the thread that the SDK exports from."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep `spans`; a full disk costs spans, never work."""
        try:
            self._store.add(taken_from_request(encode_spans(spans)).records)
        except Unavailable:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the store."""
        self._store.close()
