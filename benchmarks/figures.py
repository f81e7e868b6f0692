"""Figures, as they are told."""

import json
import statistics
from collections.abc import Sequence

_NS = 1000


def tell(what: str, value: float) -> None:
    """Print one figure, as one line of JSON."""
    print(json.dumps({"what": what, "value": round(value, 3)}), flush=True)


def skip(what: str, why: str) -> None:
    """Say that something is not measured."""
    print(json.dumps({"what": what, "left out": why}), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Timings:
    """Blocks of single measurements, in nanoseconds. Each figure is the median over the blocks, in microseconds.

    What happens to the machine during one block does not count then, what happens in every block does.
    """

    def __init__(self) -> None:
        self.blocks: list[Sequence[int]] = []

    def add(self, block: Sequence[int]) -> None:
        """Take in a block."""
        self.blocks.append(block)

    @property
    def p50(self) -> float:
        """What is usual."""
        return self._median(0.5)

    @property
    def p99(self) -> float:
        """What one in a hundred exceeds."""
        return self._median(0.99)

    def over(self, other: "Timings") -> float:
        """The p50 of this, beside that of blocks measured next to it."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        return statistics.median(percentile(mine, 0.5) / percentile(theirs, 0.5) for mine, theirs in pairs)

    def tell(self, what: str) -> None:
        """Print p50 and p99."""
        tell(f"{what}, p50 us", self.p50)
        tell(f"{what}, p99 us", self.p99)

    def _median(self, share: float) -> float:
        return statistics.median(percentile(block, share) for block in self.blocks) / _NS
