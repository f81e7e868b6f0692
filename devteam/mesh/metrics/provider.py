"""Where metrics go: to whoever scrapes this process, and to OTLP when an endpoint is configured."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from devteam.mesh import names
from devteam.mesh.metrics.catalog import CATALOG, Kind
from devteam.mesh.metrics.instruments import recording
from devteam.mesh.metrics.labels import Labels
from devteam.mesh.metrics.observables import Observables
from devteam.mesh.metrics.otlp import otlp_wanted
from devteam.mesh.metrics.readings import PATIENCE, readings
from devteam.mesh.metrics.usage import usage

# Of what `exposition` returns.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# For a collector to take what it has not heard yet; one that is away must not hold up the end of a process.
_LAST_WORDS_MILLIS = 2_000

_registry: CollectorRegistry | None = None
# The reader hands what it collects through one place: two scrapes at a time would get each other's.
_turn = threading.Lock()


@asynccontextmanager
async def metering(service: str, *, exposed: bool, patience: float = PATIENCE) -> AsyncIterator[None]:
    """Collect metrics of this process while the block runs: for `exposition` if `exposed`, and for OTLP.

    OTLP gets them if `otlp_wanted`. With neither, nothing is collected. `patience` as for `readings`.
    """
    registry = CollectorRegistry() if exposed else None
    readers = _readers(registry)
    if not readers:
        yield
        return
    provider = MeterProvider(
        metric_readers=readers,
        resource=Resource.create({"service.name": service}),
        views=_views(),
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
    labels, meter = Labels(), provider.get_meter(names.SCOPE)
    Observables(meter, labels, lambda: (*readings(patience), *usage()))
    with recording(meter, labels), _exposing(registry):
        try:
            yield
        finally:
            # It collects once more, for which this loop has to answer.
            await asyncio.to_thread(provider.shutdown, _LAST_WORDS_MILLIS)


def exposition() -> bytes:
    """All metrics of this process as Prometheus reads them, of type CONTENT_TYPE; empty while none are collected.

    Waits for the event loops whose state is read: never call it on one, see `exposed`. Raises RuntimeError then.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with _turn:
            return generate_latest(_registry) if _registry is not None else b""
    raise RuntimeError("exposition() waits for the event loop that it is called on; await exposed() instead")


async def exposed() -> bytes:
    """As `exposition`, for who is on an event loop."""
    return await asyncio.to_thread(exposition)


def _readers(registry: CollectorRegistry | None) -> list[MetricReader]:
    readers: list[MetricReader] = []
    if registry is not None:
        readers.append(PrometheusMetricReader(scope_info_enabled=False, registry=registry))
    if otlp_wanted():
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    return readers


def _views() -> list[View]:
    return [
        # As floats: they become labels, and 30 is another label than 30.0.
        View(instrument_name=metric.name, aggregation=ExplicitBucketHistogramAggregation([*map(float, metric.buckets)]))
        for metric in CATALOG
        if metric.kind is Kind.HISTOGRAM
    ]


@contextmanager
def _exposing(registry: CollectorRegistry | None) -> Iterator[None]:
    global _registry  # noqa: PLW0603 - one a process, as there is one /metrics
    before, _registry = _registry, registry
    try:
        yield
    finally:
        _registry = before
