"""Who runs what. Load is counted from here and nowhere else."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from devteam_router.domain import AttemptId, WorkerInstance


class Keeper(Protocol):
    """Gives slots out."""

    def settle(self) -> None:
        """What takes them is another just now."""


class WorkerKeeper(Keeper, Protocol):
    """Gives out all slots of a worker."""

    def widen(self) -> None:
        """It holds something out of a queue that it held nothing of before."""


class Held(dict[AttemptId, None]):
    """What takes slots of one queue at one worker, the oldest first. `keeper` hears of every change.

    A table that knows its keeper: with many workers, going from one object to the next is what takes time.
    """

    __slots__ = ("keeper",)

    def __init__(self, keeper: Keeper | None) -> None:
        super().__init__()
        self.keeper = keeper


class Holdings:
    """What one worker holds: what takes slots, by queue, and what has ended. Counts are sizes, so they cannot drift."""

    __slots__ = ("ended", "keeper", "queues")

    def __init__(self) -> None:
        self.queues: dict[str, Held] = {}
        self.ended: dict[AttemptId, None] = {}
        self.keeper: WorkerKeeper | None = None

    def in_queue(self, queue: str) -> Held:
        """What takes slots of one queue: an object that stays the same as long as there is a keeper."""
        held = self.queues.get(queue)
        if held is None:
            held = self.queues[queue] = Held(self.keeper)
            if self.keeper is not None:
                self.keeper.widen()
        return held

    def kept_by(self, keeper: WorkerKeeper | None) -> None:
        """Somebody else gives its slots out, or nobody."""
        self.keeper = keeper
        for held in self.queues.values():
            held.keeper = keeper

    @property
    def taken(self) -> int:
        """Slots taken, over all queues."""
        return sum(map(len, self.queues.values()))


@dataclass(slots=True)
class Lease:
    """An attempt that a worker has in hand. Never changed; not frozen, because one is made with every decision."""

    id: AttemptId
    worker: WorkerInstance
    queue: str
    # False once it has ended on its worker, and only its report is on its way.
    occupies_slot: bool = True
    # Where it is counted, if it occupies a slot; looked up if nobody has it at hand.
    held: Held | None = field(default=None, compare=False, repr=False)


class Leases:
    """The lease table."""

    def __init__(self) -> None:
        self._by_attempt: dict[AttemptId, Lease] = {}
        self._by_worker: dict[str, Holdings] = {}
        self._running: Counter[str] = Counter()
        # Told when the first run of a queue has begun, or its last one has ended.
        self.on_turn: Callable[[], None] = lambda: None

    def holdings(self, worker_id: str) -> Holdings:
        """What a worker holds."""
        return self._by_worker.setdefault(worker_id, Holdings())

    def unkept(self, worker_id: str) -> None:
        """Nobody gives that worker's slots out any longer."""
        if holdings := self._by_worker.get(worker_id):
            holdings.kept_by(None)
            self._drop_if_idle(worker_id, holdings)

    def grant(self, lease: Lease) -> None:
        """Charge a slot. An attempt holds one lease at most: the newer replaces the older."""
        attempt, held = lease.id, lease.held
        if attempt in self._by_attempt:
            self.release(attempt)
        self._by_attempt[attempt] = lease
        if not lease.occupies_slot:
            self.holdings(lease.worker.worker_id).ended[attempt] = None
            return
        if held is None:
            held = lease.held = self.holdings(lease.worker.worker_id).in_queue(lease.queue)
        held[attempt] = None
        self._count(lease.queue, 1)
        if held.keeper is not None:
            held.keeper.settle()

    def release(self, attempt: AttemptId) -> Lease | None:
        """Free the slot, and return the lease if there was one."""
        lease = self._by_attempt.pop(attempt, None)
        if lease is None:
            return None
        held = lease.held
        if held is not None:
            self._count(lease.queue, -1)
        if held is not None and held.keeper is not None:
            del held[attempt]
            held.keeper.settle()
        else:
            self._release_unkept(lease)
        return lease

    def _release_unkept(self, lease: Lease) -> None:
        worker_id = lease.worker.worker_id
        holdings = self._by_worker[worker_id]
        del (holdings.ended if lease.held is None else lease.held)[lease.id]
        self._drop_if_idle(worker_id, holdings)

    def of(self, attempt: AttemptId) -> Lease | None:
        """The lease of an attempt."""
        return self._by_attempt.get(attempt)

    def held_by(self, worker: WorkerInstance) -> list[Lease]:
        """All leases of this instance: those that have ended, then the others by queue, each the oldest first."""
        return [lease for lease in self._in_hand(worker.worker_id) if lease.worker == worker]

    def instances_of(self, worker_id: str) -> set[WorkerInstance]:
        """The instances of a worker that hold leases."""
        return {lease.worker for lease in self._in_hand(worker_id)}

    def count(self, worker_id: str) -> int:
        """All that a worker has in hand."""
        holdings = self._by_worker.get(worker_id)
        return holdings.taken + len(holdings.ended) if holdings else 0

    def active(self, worker_id: str) -> int:
        """Slots taken, over all queues."""
        holdings = self._by_worker.get(worker_id)
        return holdings.taken if holdings else 0

    def running(self) -> Counter[str]:
        """Slots taken out of each queue, over all workers."""
        return self._running.copy()

    def running_in(self, queue: str) -> int:
        """Slots taken out of one queue, over all workers."""
        return self._running[queue]

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._by_attempt.values())

    def __len__(self) -> int:
        return len(self._by_attempt)

    def _count(self, queue: str, change: int) -> None:
        before = self._running[queue]
        self._running[queue] = before + change
        if not before:
            self.on_turn()
        elif not self._running[queue]:
            del self._running[queue]
            self.on_turn()

    def _in_hand(self, worker_id: str) -> list[Lease]:
        holdings = self._by_worker.get(worker_id)
        if holdings is None:
            return []
        return [self._by_attempt[attempt] for held in (holdings.ended, *holdings.queues.values()) for attempt in held]

    def _drop_if_idle(self, worker_id: str, holdings: Holdings) -> None:
        if holdings.keeper is None and not holdings.ended and not any(holdings.queues.values()):
            del self._by_worker[worker_id]
