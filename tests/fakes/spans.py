"""Spans that a test may look at."""

from types import ModuleType

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanContext


class Spans:
    """The spans that have ended, of the modules that it was given; `tracer` makes those of the test itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType, sampled: bool = True) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer = provider.get_tracer("test")
        for module in modules:
            monkeypatch.setattr(module, "_tracer", self.tracer)

    @property
    def all(self) -> list[ReadableSpan]:
        """In the order of their ends."""
        return list(self._kept.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """Their names, in that order."""
        return [span.name for span in self.all]

    def one(self, name: str) -> ReadableSpan:
        """The only one of this name."""
        (found,) = (span for span in self.all if span.name == name)
        return found


def attributes(span: ReadableSpan) -> dict[str, object]:
    """What a span says of itself."""
    return dict(span.attributes or {})


def events(span: ReadableSpan) -> list[tuple[str, dict[str, object]]]:
    """What happened during a span."""
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def hangs_on(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether one is the other's parent."""
    return span.parent is not None and parent.context is not None and span.parent.span_id == parent.context.span_id


def context_of(span: ReadableSpan) -> SpanContext:
    """Which span of which trace it is."""
    context: SpanContext | None = span.context
    assert context is not None
    return context
