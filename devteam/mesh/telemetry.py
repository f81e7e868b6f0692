"""Where spans go: to OTLP when an endpoint is configured, else to a file on this machine."""

import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

_MAX_FILE_BYTES = 64 * 1024 * 1024


def configure_telemetry(service: str, trace_file: Path | None) -> TracerProvider | None:
    """Make `service` a source of spans for this process; None when there is nowhere to send them.

    OTEL_EXPORTER_OTLP_ENDPOINT (or its ..._TRACES_ form) decides for OTLP; otherwise spans are appended to
    `trace_file`, one JSON object a line. Shut the returned provider down before the process ends.
    """
    exporter = _exporter(trace_file)
    if exporter is None:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


class SpanFile(SpanExporter):
    """Appends spans to a file, one JSON object a line; starts the file anew once it has grown to 64 MiB.

    Several processes may share the file: each batch is one append.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append `spans`; a full disk costs spans, never work."""
        lines = "".join(span.to_json(indent=None) + "\n" for span in spans)
        try:
            if self._path.exists() and self._path.stat().st_size > _MAX_FILE_BYTES:
                self._path.replace(self._path.with_suffix(".old"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def _exporter(trace_file: Path | None) -> SpanExporter | None:
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    return SpanFile(trace_file) if trace_file else None
