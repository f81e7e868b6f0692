"""How spans leave a process. OpenTelemetry lets a process choose its provider once: what is behind it may change."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider


class Outlet(SpanProcessor):
    """Passes spans on to whoever is plugged in; while nobody is, they go nowhere."""

    def __init__(self) -> None:
        self._plugged: SpanProcessor | None = None

    @property
    def free(self) -> bool:
        """Whether nobody is plugged in."""
        return self._plugged is None

    def plug(self, processor: SpanProcessor) -> None:
        """Pass spans on to `processor` from now on."""
        self._plugged = processor

    def unplug(self) -> None:
        """Pass spans on to nobody."""
        self._plugged = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on that a span begins."""
        if (plugged := self._plugged) is not None:
            plugged.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on a span that has ended."""
        if (plugged := self._plugged) is not None:
            plugged.on_end(span)

    def shutdown(self) -> None:
        """Shut down what is plugged in."""
        if (plugged := self._plugged) is not None:
            plugged.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have what is plugged in send what it has."""
        return (plugged := self._plugged) is None or plugged.force_flush(timeout_millis)


class OwnProvider(TracerProvider):
    """The provider of a process that left the choice to us."""

    outlet: Outlet
