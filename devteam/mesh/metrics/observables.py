"""Gauges and tallies as a meter wants them: callbacks, of which the first one reads for all."""

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from devteam.mesh.metrics.catalog import CATALOG, Kind, Metric
from devteam.mesh.metrics.labels import Labels
from devteam.mesh.metrics.readings import Reading

_Values = dict[tuple[str, ...], float]
_OBSERVED = tuple(metric for metric in CATALOG if metric.kind in {Kind.GAUGE, Kind.TALLY})


class Observables:
    """What was read last. A meter asks its callbacks one after the other, in the order in which they were made."""

    def __init__(self, meter: Meter, labels: Labels, read: Callable[[], Iterable[Reading]]) -> None:
        self._labels = labels
        self._read = read
        self._values: dict[Metric, _Values] = {}
        for metric in _OBSERVED:
            create = meter.create_observable_gauge if metric.kind is Kind.GAUGE else meter.create_observable_counter
            create(metric.name, [self._callback(metric)], metric.unit, metric.help)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            if metric is _OBSERVED[0]:
                self._values = merged(self._read(), self._labels)
            for values, value in self._values.get(metric, {}).items():
                yield Observation(value, dict(zip(metric.labels, values, strict=True)))

        return observe


def merged(readings: Iterable[Reading], labels: Labels) -> dict[Metric, _Values]:
    """One value for each series: those of the same labels added up, those that have nothing at 0."""
    found: dict[Metric, _Values] = {}
    for metric, value, names in readings:
        key = tuple(labels.of(label, name) for label, name in zip(metric.labels, names, strict=True))
        values = found.setdefault(metric, {})
        if key in values:
            value = max(values[key], value) if metric.largest else values[key] + value  # noqa: PLW2901 - so far
        values[key] = value
    for metric, values in found.items():
        if metric.remembered:
            _remember(values, labels.known(metric.labels[0]))
    return found


def _remember(values: _Values, known: Iterable[str]) -> None:
    for name in known:
        values.setdefault((name,), 0)
