"""Runs that wait, in order."""

import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from devteam_router.domain import AttemptId, Run, Signature, Wait
from devteam_router.shares import Fairness
from devteam_router.waits import Waits

_Key = tuple[Signature, int, str]


@dataclass(slots=True)
class Waiting:
    """A run in its line, since a moment on the monotonic clock."""

    run: Run
    arrival: int
    since: float


@dataclass(slots=True, eq=False)
class Line:
    """All waiting runs of one signature, priority and tenant, first come, first served.

    What holds for the first holds for all of them: why they wait, and since when that may be over.
    """

    signature: Signature
    priority: int
    tenant: str
    wait: Wait | None = None
    # Another number whenever agendas have to take it up anew.
    entry: int = 0
    # A gate holds it back: no free slot concerns it.
    held: bool = False
    # When the run came whose turn it is; without meaning while there is none.
    arrival: int = 0
    _runs: "OrderedDict[AttemptId, Waiting]" = field(default_factory=OrderedDict)

    def put(self, waiting: Waiting, *, first: bool) -> None:
        """Have a run wait at the end, or at the head."""
        self._runs[waiting.run.id] = waiting
        if first:
            self._runs.move_to_end(waiting.run.id, last=False)
        if first or len(self._runs) == 1:
            self.arrival = waiting.arrival

    def take(self, attempt: AttemptId) -> None:
        """Have a run wait no longer."""
        del self._runs[attempt]
        if (head := self.head()) is not None:
            self.arrival = head.arrival

    def head(self) -> Waiting | None:
        """The run whose turn it is."""
        return next(iter(self._runs.values()), None)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(list(self._runs.values()))

    def __len__(self) -> int:
        return len(self._runs)


class Reader(Protocol):
    """Looks for what is next in a queue."""

    def called(self, line: Line) -> None:
        """There is a line that it has to take up, perhaps anew."""


class Lines:
    """One line for each signature, priority and tenant that something waits with."""

    def __init__(self, fairness: Fairness | None = None) -> None:
        self.fairness = fairness or Fairness()
        self._lines: dict[_Key, Line] = {}
        self._waiting: dict[AttemptId, tuple[Line, Waiting]] = {}
        self._by_queue: dict[str, dict[Line, None]] = {}
        self._by_model: dict[str, dict[Line, None]] = {}
        self._of_signature: Counter[Signature] = Counter()
        self._of_queue: dict[str, Waits] = {}
        self._of_tenant: Counter[str] = Counter()
        self._in_queue: Counter[tuple[str, str]] = Counter()
        self._readers: dict[str, dict[Reader, None]] = {}
        self._arrivals = itertools.count(1)
        self._returns = itertools.count(-1, -1)
        self._entries = itertools.count(1)
        # Told of every line that nobody waits in any longer.
        self.on_close: Callable[[Line], None] = lambda _: None
        # Told when there is a line more or less that waits for a worker.
        self.on_turn: Callable[[], None] = lambda: None

    def add(self, run: Run, now: float, *, first: bool = False, arrival: int | None = None) -> Line:
        """Put a run at the end of its line; or at the head, when it was there before. It may have had its `arrival`."""
        line = self._line(run)
        if arrival is None:
            arrival = next(self._returns if first else self._arrivals)
        waiting = Waiting(run, arrival, now)
        line.put(waiting, first=first)
        self._waiting[run.id] = line, waiting
        queue = run.signature.queues[0]
        if (waits := self._of_queue.get(queue)) is None:
            waits = self._of_queue[queue] = Waits()
        waits.add(run.id, now)
        _count(self._of_tenant, run.tenant, 1)
        if not line.held and (first or len(line) == 1):
            self.call(line)
        return line

    def remove(self, attempt: AttemptId) -> Waiting | None:
        """Take a run out of its line; None if it was in none."""
        line, waiting = self._waiting.pop(attempt, (None, None))
        if line is None or waiting is None:
            return None
        line.take(attempt)
        waits = self._of_queue[line.signature.queues[0]]
        waits.remove(attempt)
        if not len(waits):
            del self._of_queue[line.signature.queues[0]]
        _count(self._of_tenant, line.tenant, -1)
        if not len(line):
            self._close(line)
        return waiting

    def call(self, line: Line) -> None:
        """Have every agenda of its queues take the line up, as it is now."""
        if line.held:
            self.on_turn()
        line.held, line.entry = False, next(self._entries)
        for queue in line.signature.queues:
            for reader in self._readers.get(queue, ()):
                reader.called(line)

    def hold(self, line: Line) -> None:
        """Have agendas pass over the line until it is called again."""
        line.held, line.entry = True, 0
        self.on_turn()

    def listen(self, queue: str, reader: Reader) -> None:
        """Tell this reader of lines that are called in a queue."""
        self._readers.setdefault(queue, {})[reader] = None

    def ignore(self, queue: str, reader: Reader) -> None:
        """Tell it nothing more."""
        self._readers.get(queue, {}).pop(reader, None)
        if not self._readers.get(queue, True):
            del self._readers[queue]

    def line_of(self, attempt: AttemptId) -> Line | None:
        """The line that a run waits in."""
        entry = self._waiting.get(attempt)
        return entry[0] if entry else None

    def waits_with(self, signature: Signature) -> bool:
        """Whether a run of this signature waits."""
        return signature in self._of_signature

    def looking_at(self, queues: AbstractSet[str]) -> list[Line]:
        """The lines whose runs could go to any of these queues."""
        return list(dict.fromkeys(line for queue in queues for line in self._by_queue.get(queue, ())))

    def of_model(self, model: str) -> list[Line]:
        """The lines whose runs want this model."""
        return list(self._by_model.get(model, ()))

    def competes(self, queue: str, tenant: str) -> bool:
        """Whether a tenant has something that waits in a queue."""
        return (queue, tenant) in self._in_queue

    def any_in(self, queue: str) -> bool:
        """Whether a run that could go to this queue waits."""
        return queue in self._by_queue

    def in_queue(self, queue: str) -> list[Line]:
        """Lines of runs whose first choice is this queue."""
        return [line for line in self._by_queue.get(queue, ()) if line.signature.queues[0] == queue]

    def waiting_in(self, queue: str) -> int:
        """How many runs have this queue as their first choice."""
        return len(self._of_queue.get(queue, ()))

    def oldest_in(self, queue: str) -> float | None:
        """Since when the run has waited that waits the longest of these, on the monotonic clock; None: nobody waits."""
        waits = self._of_queue.get(queue)
        return None if waits is None else waits.oldest()

    def startable_in(self, queue: str) -> int:
        """How many of those would start if a worker were free: no gate holds them back."""
        return sum(len(line) for line in self.in_queue(queue) if not line.held)

    def waiting_of(self, tenant: str) -> int:
        """How many runs of this tenant wait."""
        return self._of_tenant[tenant]

    def queues(self) -> set[str]:
        """Queues that are some run's first choice."""
        return set(self._of_queue)

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def __len__(self) -> int:
        return len(self._waiting)

    def _line(self, run: Run) -> Line:
        key = (run.signature, run.priority, run.tenant)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(*key)
            self.on_turn()
            self._by_model.setdefault(run.signature.model, {})[line] = None
            _count(self._of_signature, run.signature, 1)
            for queue in run.signature.queues:
                self._by_queue.setdefault(queue, {})[line] = None
                if not self.competes(queue, run.tenant):
                    self.fairness.of(queue).enter(run.tenant)
                _count(self._in_queue, (queue, run.tenant), 1)
        return line

    def _close(self, line: Line) -> None:
        line.entry = 0
        self.on_close(line)
        self.on_turn()
        signature = line.signature
        del self._lines[signature, line.priority, line.tenant]
        _drop(self._by_model, signature.model, line)
        _count(self._of_signature, signature, -1)
        for queue in signature.queues:
            _drop(self._by_queue, queue, line)
            _count(self._in_queue, (queue, line.tenant), -1)
            if not self.competes(queue, line.tenant):
                self.fairness.of(queue).leave(line.tenant)


def _drop(table: dict[str, dict[Line, None]], key: str, line: Line) -> None:
    """Callers name the keys: those with nothing are dropped."""
    del table[key][line]
    if not table[key]:
        del table[key]


def _count(counts: Counter, name: object, change: int) -> None:  # type: ignore[type-arg]  # of keys of any kind
    """Count up or down; names come from callers, so those with nothing are dropped."""
    counts[name] += change
    if not counts[name]:
        del counts[name]
