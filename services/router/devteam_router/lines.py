"""Runs that wait, in order."""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from devteam_router.domain import AttemptId, Run, Signature, WaitReason


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a line does not move, and what would move it."""

    reason: WaitReason
    detail: str


@dataclass(order=True, slots=True)
class Waiting:
    """A run in its line; ordered by priority, then by arrival."""

    priority: int
    arrival: int
    run: Run = field(compare=False)
    since: float = field(compare=False)
    gone: bool = field(compare=False, default=False)


@dataclass(slots=True)
class Line:
    """All waiting runs of one signature. What holds for the first holds for all of them."""

    signature: Signature
    wait: Wait | None = None
    _heap: list[Waiting] = field(default_factory=list)

    def push(self, waiting: Waiting) -> None:
        """Queue up."""
        heapq.heappush(self._heap, waiting)

    def head(self) -> Waiting | None:
        """The run whose turn it is."""
        while self._heap and self._heap[0].gone:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def __iter__(self) -> Iterator[Waiting]:
        return (waiting for waiting in self._heap if not waiting.gone)


class Lines:
    """One line for each signature that something waits with."""

    def __init__(self) -> None:
        self._lines: dict[Signature, Line] = {}
        self._waiting: dict[AttemptId, Waiting] = {}
        self._of_queue: Counter[str] = Counter()
        self._of_tenant: Counter[str] = Counter()
        self._arrivals = itertools.count()

    def add(self, run: Run, now: float, *, first: bool = False) -> Line:
        """Put a run at the end of its priority in its line; or at the head, when it was there before."""
        line = self._lines.setdefault(run.signature, Line(run.signature))
        arrival = next(self._arrivals)
        waiting = Waiting(run.priority, -arrival if first else arrival, run, now)
        self._waiting[run.id] = waiting
        _count(self._of_queue, run.signature.queues[0], 1)
        _count(self._of_tenant, run.tenant, 1)
        line.push(waiting)
        return line

    def remove(self, attempt: AttemptId) -> Waiting | None:
        """Take a run out of its line; None if it was in none."""
        waiting = self._waiting.pop(attempt, None)
        if waiting is not None:
            waiting.gone = True
            _count(self._of_queue, waiting.run.signature.queues[0], -1)
            _count(self._of_tenant, waiting.run.tenant, -1)
            line = self._lines[waiting.run.signature]
            if line.head() is None:
                del self._lines[line.signature]
        return waiting

    def line_of(self, attempt: AttemptId) -> Line | None:
        """The line that a run waits in."""
        waiting = self._waiting.get(attempt)
        return self._lines[waiting.run.signature] if waiting else None

    def looking_at(self, queues: AbstractSet[str]) -> list[Line]:
        """The lines whose runs could go to any of these queues."""
        return [line for signature, line in self._lines.items() if not queues.isdisjoint(signature.queues)]

    def in_queue(self, queue: str) -> list[Waiting]:
        """Runs whose first choice is this queue."""
        lines = (line for signature, line in self._lines.items() if signature.queues[0] == queue)
        return [waiting for line in lines for waiting in line]

    def waiting_in(self, queue: str) -> int:
        """How many runs have this queue as their first choice."""
        return self._of_queue[queue]

    def waiting_of(self, tenant: str) -> int:
        """How many runs of this tenant wait."""
        return self._of_tenant[tenant]

    def queues(self) -> set[str]:
        """Queues that are some run's first choice."""
        return {signature.queues[0] for signature in self._lines}

    def __len__(self) -> int:
        return len(self._waiting)


def _count(counts: Counter[str], name: str, change: int) -> None:
    """Count up or down; names come from callers, so those with nothing are dropped."""
    counts[name] += change
    if not counts[name]:
        del counts[name]
