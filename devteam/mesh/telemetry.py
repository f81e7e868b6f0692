"""Where spans go: to OTLP when an endpoint is configured, else to the store on this machine, else to the mesh."""

import asyncio
import os
import platform
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from devteam.mesh.spans.outlet import Outlet, OwnProvider
from devteam.mesh.tls import TlsFiles

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# What has happened is to be seen soon, also by whoever looks while it goes on.
_BATCH_MILLIS = 500


@dataclass(frozen=True, slots=True)
class MeshAddress:
    """A mesh to send spans to: its URL, the key to show to it, and the certificates."""

    url: str
    api_key: str = ""
    tls: TlsFiles | None = None


class Telemetry:
    """The spans of this process, on their way."""

    def __init__(self, outlet: Outlet, processor: BatchSpanProcessor) -> None:
        self._outlet = outlet
        self._processor = processor

    def shutdown(self) -> None:
        """Send what is left, and nothing any more. What goes to a mesh or to a collector gets two seconds."""
        self._outlet.unplug()
        with _in_time(self._processor.span_exporter):
            self._processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK gives it no types


@contextmanager
def _in_time(exporter: SpanExporter) -> Iterator[None]:
    """The exporter's last words: whoever does not listen must not hold up the end of a process."""
    from devteam.mesh.spans.sender import PATIENCE, MeshExporter

    if isinstance(exporter, MeshExporter):
        exporter.hurry()
    if not _otlp_endpoint():
        yield
        return
    # The SDK would go on for as long as a call may take, and then begin with the next batch.
    silence = threading.Timer(PATIENCE, exporter.shutdown)
    silence.daemon = True
    silence.start()
    try:
        yield
    finally:
        silence.cancel()


def configure_telemetry(
    service: str, trace_file: Path | None, *, mesh: MeshAddress | None = None, instance: str = ""
) -> Telemetry | None:
    """Make `service` a source of spans for this process; None when there is nowhere to send them.

    OTEL_EXPORTER_OTLP_ENDPOINT (or its ..._TRACES_ form) decides for OTLP; otherwise spans are kept in `trace_file`,
    and without one they go to `mesh`. `instance` tells this process from others of its kind. None as well when the
    program has a tracer provider of its own: its spans are its own business. Shut what is returned down before the
    process ends.
    """
    if not _is_on() or not (_otlp_endpoint() or trace_file or mesh):
        return None
    outlet = _outlet(service, instance)
    if outlet is None:
        return None
    processor = BatchSpanProcessor(_exporter(trace_file, mesh), schedule_delay_millis=_BATCH_MILLIS)
    outlet.plug(processor)
    return Telemetry(outlet, processor)


@asynccontextmanager
async def telemetry(
    service: str, trace_file: Path | None, *, mesh: MeshAddress | None = None, instance: str = ""
) -> AsyncIterator[None]:
    """As `configure_telemetry`, until the block ends; the event loop goes on while the last spans leave."""
    configured = configure_telemetry(service, trace_file, mesh=mesh, instance=instance)
    try:
        yield
    finally:
        if configured is not None:
            await asyncio.to_thread(configured.shutdown)


def span_file(trace_file: Path | None) -> Path | None:
    """Where this process keeps spans, its own and those it is sent; None when they go elsewhere, or nowhere."""
    return None if _otlp_endpoint() or not _is_on() else trace_file


def _is_on() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() != "none"


def _otlp_endpoint() -> str:
    return next((endpoint for name in _ENDPOINTS if (endpoint := os.environ.get(name, ""))), "")


def _outlet(service: str, instance: str) -> Outlet | None:
    """Where to plug in; None when the program has its own provider, or is plugged in already."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = OwnProvider(resource=_resource(service, instance))
        provider.outlet = Outlet()
        provider.add_span_processor(provider.outlet)
        trace.set_tracer_provider(provider)
    return provider.outlet if isinstance(provider, OwnProvider) and provider.outlet.free else None


def _resource(service: str, instance: str) -> Resource:
    attributes = {
        "service.name": service,
        "service.version": metadata.version("devteam-orchestrator"),
        "host.name": platform.node(),
    }
    return Resource.create(attributes | ({"service.instance.id": instance} if instance else {}))


def _exporter(trace_file: Path | None, mesh: MeshAddress | None) -> SpanExporter:
    # Each imported only where it is used: half a second, for a process that may be small.
    if _otlp_endpoint():
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    if trace_file is not None:
        from devteam.mesh.spans.keeper import StoreExporter
        from devteam.mesh.spans.store import SpanStore

        return StoreExporter(SpanStore(trace_file))
    from devteam.mesh.spans.sender import MeshExporter

    assert mesh is not None
    return MeshExporter(mesh.url, mesh.api_key, mesh.tls)
