"""Who runs what. Load is counted from here and nowhere else."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from devteam_router.domain import AttemptId, WorkerInstance

# Attempts as keys, which keep the order in which they came.
_Held = dict[AttemptId, None]


@dataclass(slots=True)
class Holdings:
    """What one worker holds: what takes slots, by queue, and what has ended.

    Counts are sizes, so they cannot drift. `on_change` is called right after its slots have changed. `parts` are the
    values of `queues`, in a list that stays the same.
    """

    queues: dict[str, _Held] = field(default_factory=dict)
    parts: list[_Held] = field(default_factory=list)
    ended: _Held = field(default_factory=dict)
    on_change: Callable[[], None] = lambda: None
    # Somebody counts on this very object.
    pinned: bool = False

    def in_queue(self, queue: str) -> _Held:
        """What takes slots of one queue."""
        held = self.queues.get(queue)
        if held is None:
            held = self.queues[queue] = {}
            self.parts.append(held)
        return held

    @property
    def taken(self) -> int:
        """Slots taken, over all queues."""
        return sum(map(len, self.parts))


@dataclass(slots=True)
class Lease:
    """An attempt that a worker has in hand. Never changed; not frozen, because one is made with every decision."""

    id: AttemptId
    worker: WorkerInstance
    queue: str
    # False once it has ended on its worker, and only its report is on its way.
    occupies_slot: bool = True
    # Where it is counted, at hand: with many workers, looking things up is what takes time.
    holdings: Holdings | None = field(default=None, compare=False, repr=False)
    held: _Held | None = field(default=None, compare=False, repr=False)


class Leases:
    """The lease table."""

    def __init__(self) -> None:
        self._by_attempt: dict[AttemptId, Lease] = {}
        self._by_worker: dict[str, Holdings] = {}

    def holdings(self, worker_id: str) -> Holdings:
        """What a worker holds, as an object that stays the same until `unpin`."""
        holdings = self._by_worker.setdefault(worker_id, Holdings())
        holdings.pinned = True
        return holdings

    def unpin(self, worker_id: str) -> None:
        """Nobody counts on that worker's holdings any longer."""
        if holdings := self._by_worker.get(worker_id):
            holdings.pinned, holdings.on_change = False, lambda: None
            self._drop_if_idle(worker_id, holdings)

    def grant(self, lease: Lease) -> None:
        """Charge a slot. An attempt holds one lease at most: the newer replaces the older."""
        attempt, holdings = lease.id, lease.holdings
        if attempt in self._by_attempt:
            self.release(attempt)
        if holdings is None:
            holdings = lease.holdings = self._by_worker.setdefault(lease.worker.worker_id, Holdings())
        self._by_attempt[attempt] = lease
        if not lease.occupies_slot:
            holdings.ended[attempt] = None
            return
        if lease.held is None:
            lease.held = holdings.in_queue(lease.queue)
        lease.held[attempt] = None
        holdings.on_change()

    def release(self, attempt: AttemptId) -> Lease | None:
        """Free the slot, and return the lease if there was one."""
        lease = self._by_attempt.pop(attempt, None)
        if lease is None:
            return None
        holdings, held = lease.holdings, lease.held
        assert holdings is not None
        if held is not None:
            del held[attempt]
            holdings.on_change()
        else:
            del holdings.ended[attempt]
        if not holdings.pinned:
            self._drop_if_idle(lease.worker.worker_id, holdings)
        return lease

    def of(self, attempt: AttemptId) -> Lease | None:
        """The lease of an attempt."""
        return self._by_attempt.get(attempt)

    def held_by(self, worker: WorkerInstance) -> list[Lease]:
        """All leases of this instance: those that have ended, then the others by queue, each the oldest first."""
        return [lease for lease in self._in_hand(worker.worker_id) if lease.worker == worker]

    def instances_of(self, worker_id: str) -> set[WorkerInstance]:
        """The instances of a worker that hold leases."""
        return {lease.worker for lease in self._in_hand(worker_id)}

    def active(self, worker_id: str) -> int:
        """Slots taken, over all queues."""
        holdings = self._by_worker.get(worker_id)
        return holdings.taken if holdings else 0

    def active_in(self, worker_id: str, queue: str) -> int:
        """Slots taken out of one queue."""
        holdings = self._by_worker.get(worker_id)
        return len(holdings.queues.get(queue, ())) if holdings else 0

    def running(self) -> Counter[str]:
        """Slots taken out of each queue, over all workers. Looks at every lease."""
        return Counter(lease.queue for lease in self._by_attempt.values() if lease.occupies_slot)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._by_attempt.values())

    def __len__(self) -> int:
        return len(self._by_attempt)

    def _in_hand(self, worker_id: str) -> list[Lease]:
        holdings = self._by_worker.get(worker_id)
        if holdings is None:
            return []
        return [self._by_attempt[attempt] for held in (holdings.ended, *holdings.parts) for attempt in held]

    def _drop_if_idle(self, worker_id: str, holdings: Holdings) -> None:
        if not holdings.ended and not any(holdings.parts):
            del self._by_worker[worker_id]
