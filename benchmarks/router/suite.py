"""What can be measured of the Router's core by itself."""

from collections.abc import Callable, Iterable, Mapping

from benchmarks.router import balance, churn, decision, freed, memory, peers

PARTS: Mapping[str, Callable[[], None]] = {
    "decision": decision.measure,
    "freed": freed.measure,
    "churn": churn.measure,
    "litellm": peers.measure,
    "balance": balance.measure,
    "memory": memory.measure,
}


def measure(names: Iterable[str] = PARTS) -> None:
    """Measure these parts, one after the other."""
    for name in names:
        PARTS[name]()
