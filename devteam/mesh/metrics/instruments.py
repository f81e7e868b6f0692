"""Counters and histograms. While nobody collects metrics, what is told to them is let go at the cost of one look."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.metrics import Counter, Histogram, Meter

from devteam.mesh.metrics.catalog import CATALOG, Kind, Metric
from devteam.mesh.metrics.labels import Labels


class _Instruments:
    """What one meter has made of the catalog."""

    def __init__(self, meter: Meter, labels: Labels) -> None:
        self._labels = labels
        self._counters: dict[Metric, Counter] = {
            metric: meter.create_counter(metric.name, metric.unit, metric.help)
            for metric in CATALOG
            if metric.kind is Kind.COUNTER
        }
        self._histograms: dict[Metric, Histogram] = {
            metric: meter.create_histogram(metric.name, metric.unit, metric.help)
            for metric in CATALOG
            if metric.kind is Kind.HISTOGRAM
        }

    def count(self, metric: Metric, amount: float, values: tuple[str, ...]) -> None:
        """Add to a counter."""
        self._counters[metric].add(amount, self._attributes(metric, values))

    def expect(self, metric: Metric, values: tuple[str, ...]) -> None:
        """Begin a counter."""
        if all(map(self._labels.comes_early, metric.labels, values)):
            self.count(metric, 0, values)

    def record(self, metric: Metric, value: float, values: tuple[str, ...]) -> None:
        """Put a value into a histogram."""
        self._histograms[metric].record(value, self._attributes(metric, values))

    def _attributes(self, metric: Metric, values: tuple[str, ...]) -> dict[str, str]:
        pairs = zip(metric.labels, values, strict=True)
        return {label: self._labels.of(label, value) for label, value in pairs if value}


_current: _Instruments | None = None


def count(metric: Metric, amount: float = 1, *values: str) -> None:
    """Add to a counter; `values` are those of its labels, in their order. An empty one is left out."""
    if _current is not None:
        _current.count(metric, amount, values)


def expect(metric: Metric, *values: str) -> None:
    """Begin a counter at 0, so that its first step shows as one; `values` as in `count`.

    Names of callers get at most half of the places that there are for them so: what is counted later may need the rest.
    """
    if _current is not None:
        _current.expect(metric, values)


def record(metric: Metric, value: float, *values: str) -> None:
    """Put a value into a histogram; `values` as in `count`."""
    if _current is not None:
        _current.record(metric, value, values)


@contextmanager
def recording(meter: Meter, labels: Labels) -> Iterator[None]:
    """Tell this meter what is counted and recorded, for as long as the block runs."""
    global _current  # noqa: PLW0603 - like the tracer, there is one a process
    before, _current = _current, _Instruments(meter, labels)
    try:
        yield
    finally:
        _current = before
