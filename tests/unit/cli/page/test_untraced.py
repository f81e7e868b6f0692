"""Looking leaves no trace."""

from devteam_cli.page.untraced import untraced
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_what_is_asked_while_looking_is_recorded_neither_here_nor_where_it_is_answered() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    carried: dict[str, str] = {}
    with untraced(), tracer.start_as_current_span("a call"):
        propagate.inject(carried)
    assert carried["traceparent"].endswith("-00")
    assert kept.get_finished_spans() == ()
    with tracer.start_as_current_span("of others"):
        pass
    assert [span.name for span in kept.get_finished_spans()] == ["of others"]
