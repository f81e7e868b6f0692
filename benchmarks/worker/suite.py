"""What can be measured of a worker."""

from collections.abc import Callable, Iterable, Mapping

from benchmarks.worker import crowd, idle, latency, overhead

PARTS: Mapping[str, Callable[[], None]] = {
    "overhead": overhead.measure,
    "latency": latency.measure,
    "crowd": crowd.measure,
    "idle": idle.measure,
}


def measure(names: Iterable[str] = PARTS) -> None:
    """Measure these parts, one after the other."""
    for name in names:
        PARTS[name]()
