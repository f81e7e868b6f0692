"""Spans as the SDK of OpenTelemetry hands them to its exporters."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def ended_spans(*names: str, size: int = 0) -> list[ReadableSpan]:
    """Spans that have ended, each the parent of the next, with an attribute of `size` characters."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "a client"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    _nest(provider, list(names), "x" * size)
    return sorted(exporter.get_finished_spans(), key=lambda span: names.index(span.name))


def trace_id_of(spans: list[ReadableSpan]) -> str:
    """Their trace, as 32 hexadecimal digits."""
    assert spans[0].context is not None
    return f"{spans[0].context.trace_id:032x}"


def _nest(provider: TracerProvider, names: list[str], filler: str) -> None:
    if names:
        with provider.get_tracer("test").start_as_current_span(names[0], attributes={"filler": filler}):
            _nest(provider, names[1:], filler)
