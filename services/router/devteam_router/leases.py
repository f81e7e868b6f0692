"""Who runs what. Load is counted from here and nowhere else."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from devteam_router.domain import AttemptId, WorkerInstance

_Key = TypeVar("_Key", bound=Hashable)
# Attempts as keys, which keep the order in which they came.
_Held = dict[AttemptId, None]


@dataclass(frozen=True, slots=True)
class Lease:
    """An attempt that a worker has in hand."""

    id: AttemptId
    worker: WorkerInstance
    queue: str
    # False once it has ended on its worker, and only its report is on its way.
    occupies_slot: bool = True


class Leases:
    """The lease table. Counts are sizes of its parts, so that they cannot drift from it."""

    def __init__(self) -> None:
        self._by_attempt: dict[AttemptId, Lease] = {}
        self._in_hand: dict[str, _Held] = {}
        self._by_worker: dict[str, _Held] = {}
        self._by_slot: dict[tuple[str, str], _Held] = {}
        self._by_queue: dict[str, _Held] = {}

    def grant(self, lease: Lease) -> None:
        """Charge a slot. An attempt holds one lease at most: the newer replaces the older."""
        self.release(lease.id)
        self._by_attempt[lease.id] = lease
        worker_id = lease.worker.worker_id
        _put(self._in_hand, worker_id, lease.id)
        if lease.occupies_slot:
            _put(self._by_worker, worker_id, lease.id)
            _put(self._by_slot, (worker_id, lease.queue), lease.id)
            _put(self._by_queue, lease.queue, lease.id)

    def release(self, attempt: AttemptId) -> Lease | None:
        """Free the slot, and return the lease if there was one."""
        lease = self._by_attempt.pop(attempt, None)
        if lease is not None:
            worker_id = lease.worker.worker_id
            _drop(self._in_hand, worker_id, attempt)
            _drop(self._by_worker, worker_id, attempt)
            _drop(self._by_slot, (worker_id, lease.queue), attempt)
            _drop(self._by_queue, lease.queue, attempt)
        return lease

    def of(self, attempt: AttemptId) -> Lease | None:
        """The lease of an attempt."""
        return self._by_attempt.get(attempt)

    def held_by(self, worker: WorkerInstance) -> list[Lease]:
        """All leases of this instance, the oldest first."""
        held = self._in_hand.get(worker.worker_id, ())
        return [lease for lease in (self._by_attempt[attempt] for attempt in held) if lease.worker == worker]

    def instances_of(self, worker_id: str) -> set[WorkerInstance]:
        """The instances of a worker that hold leases."""
        return {self._by_attempt[attempt].worker for attempt in self._in_hand.get(worker_id, ())}

    def active(self, worker_id: str) -> int:
        """Slots taken, over all queues."""
        return len(self._by_worker.get(worker_id, ()))

    def active_in(self, worker_id: str, queue: str) -> int:
        """Slots taken out of one queue."""
        return len(self._by_slot.get((worker_id, queue), ()))

    def running(self, queue: str) -> int:
        """Slots taken out of one queue, over all workers."""
        return len(self._by_queue.get(queue, ()))

    def queues(self) -> set[str]:
        """Queues that something runs out of."""
        return set(self._by_queue)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._by_attempt.values())

    def __len__(self) -> int:
        return len(self._by_attempt)


def _put(table: dict[_Key, _Held], key: _Key, attempt: AttemptId) -> None:
    table.setdefault(key, {})[attempt] = None


def _drop(table: dict[_Key, _Held], key: _Key, attempt: AttemptId) -> None:
    """Workers name the keys, and come and go: those with nothing are dropped."""
    if (held := table.get(key)) is not None:
        held.pop(attempt, None)
        if not held:
            del table[key]
