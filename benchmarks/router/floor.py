"""The least that choosing a worker costs in plain Python: by load alone, no filters, no queues, no changes."""

from collections import defaultdict, deque
from time import perf_counter_ns
from typing import Protocol


class Chooser(Protocol):
    """Gives out the least loaded of some workers."""

    def choose(self) -> int:
        """A worker, which has one run more from now on."""

    def end(self, worker: int) -> None:
        """One of its runs has ended."""


class Scan:
    """Looks at every worker."""

    def __init__(self, size: int) -> None:
        self._load = [0] * size

    def choose(self) -> int:
        """The first of the least loaded ones."""
        worker = min(range(len(self._load)), key=self._load.__getitem__)
        self._load[worker] += 1
        return worker

    def end(self, worker: int) -> None:
        """It has one run less."""
        self._load[worker] -= 1


class Buckets:
    """Keeps workers of equal load together."""

    def __init__(self, size: int) -> None:
        self._load = [0] * size
        self._at: dict[int, dict[int, None]] = defaultdict(dict)
        self._at[0] = dict.fromkeys(range(size))
        self._low = 0

    def choose(self) -> int:
        """The one that has been least loaded for the longest."""
        while not self._at[self._low]:
            self._low += 1
        worker = next(iter(self._at[self._low]))
        self._move(worker, self._low + 1)
        return worker

    def end(self, worker: int) -> None:
        """It has one run less."""
        load = self._load[worker] - 1
        self._move(worker, load)
        self._low = min(self._low, load)

    def _move(self, worker: int, load: int) -> None:
        del self._at[self._load[worker]][worker]
        self._at[load][worker] = None
        self._load[worker] = load


class Floor:
    """A chooser, half as many runs as there are workers, and the time that one more takes while another one ends."""

    def __init__(self, chooser: Chooser, size: int) -> None:
        self._chooser = chooser
        self._running = deque(chooser.choose() for _ in range(size // 2))

    def decide(self, count: int) -> list[int]:
        """Choose so often; returns the nanoseconds that each took."""
        return [self._timed() for _ in range(count)]

    def _timed(self) -> int:
        ends = self._running.popleft()
        began = perf_counter_ns()
        worker = self._chooser.choose()
        self._chooser.end(ends)
        took = perf_counter_ns() - began
        self._running.append(worker)
        return took
