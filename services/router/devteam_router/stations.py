"""Workers as the Router places on them. Alike ones stand together, so that a choice looks at kinds, not at workers."""

from collections.abc import Hashable, Mapping
from types import MappingProxyType

from devteam_router.domain import Signature, Worker
from devteam_router.filters import serves_model, serves_tenant, unavailable, unmet
from devteam_router.leases import Held, Holdings
from devteam_router.seats import Row, Seat

# How far a run comes with a worker of its queue: the worker is another tenant's, as if it were not there; not even its
# model is served; it lacks something; or nothing.
ANOTHERS, NOT_SERVED, LACKING, FITTING = 0, 1, 2, 3

# Most workers refuse nothing: one table for all of them, which is at hand.
_NOTHING: Mapping[Signature, int] = MappingProxyType({})

# Verdicts that a profile remembers; runs name the signatures, so they are without end.
_REMEMBERED = 4_096


class Profile:
    """All that filters look at: workers of one profile can run the same. `worker` is a typical one."""

    def __init__(self, key: Hashable, worker: Worker) -> None:
        self.key = key
        self.worker = worker
        self.workers = 0
        # Those that take work now.
        self.open = 0
        self._verdicts: dict[tuple[str, Signature], int] = {}

    def verdict(self, queue: str, signature: Signature) -> int:
        """How far a run comes here, whoever is busy: ANOTHERS, NOT_SERVED, LACKING or FITTING."""
        key = (queue, signature)
        found = self._verdicts.get(key)
        if found is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            found = self._verdicts[key] = self._judged(queue, signature)
        return found

    def _judged(self, queue: str, signature: Signature) -> int:
        if not serves_tenant(self.worker, signature.tenant):
            return ANOTHERS
        if not serves_model(self.worker.queues[queue], signature.model):
            return NOT_SERVED
        return LACKING if unmet(self.worker, signature) else FITTING


class Kind:
    """All that the order looks at as well: workers of one kind differ only in their load. `worker` is a typical one."""

    def __init__(self, key: Hashable, profile: Profile, worker: Worker, host_sources: frozenset[str]) -> None:
        self.key = key
        self.profile = profile
        self.worker = worker
        # Data that some worker on the same host has.
        self.host_sources = host_sources
        self.concurrency = worker.concurrency
        unit = 1 / (worker.concurrency * worker.weight)
        self.rows = {
            queue.name: Row(self, queue.name, min(queue.concurrency, worker.concurrency), unit)
            for queue in worker.queues.values()
        }
        self.stations: dict[str, Station] = {}
        self.open = 0
        self._breadth: float | None = None

    @property
    def breadth(self) -> float:
        """How many models its workers could run instead; no list means all of them, a pattern many."""
        if self._breadth is None:
            queues = self.worker.queues.values()
            models = {model for queue in queues for model in queue.models}
            everything = any(not queue.models for queue in queues)
            self._breadth = float("inf") if everything else sum(100 if "*" in model else 1 for model in models)
        return self._breadth


class Station:
    """One worker, with its slots. Takes over from where the worker stood `before`."""

    __slots__ = (
        "_others",
        "closed_because",
        "elsewhere",
        "holdings",
        "instance",
        "kind",
        "refuses",
        "seats",
        "worker",
    )

    def __init__(self, worker: Worker, kind: Kind, holdings: Holdings, before: "Station | None" = None) -> None:
        self.worker = worker
        self.kind = kind
        # Why it takes no work at all, in words; empty: it does.
        self.closed_because = "is not connected to this router"
        same = before if before is not None and before.worker.instance == worker.instance else None
        # Slots that other Routers' runs take, over all queues.
        self.elsewhere: int = same.elsewhere if same else 0
        # Runs like these it refused a moment ago.
        self.refuses: Mapping[Signature, int] = same.refuses if same else _NOTHING
        self.seats = tuple(Seat(self, row, holdings.in_queue(queue)) for queue, row in kind.rows.items())
        self.instance = worker.instance
        self.holdings = holdings
        # What it holds out of queues that it serves no longer.
        self._others: tuple[Held, ...] = ()
        for seat in self.seats:
            if before is not None and (old := before.seat(seat.row.queue)):
                seat.turn, seat.elsewhere = old.turn, old.elsewhere if same else 0

    def sit_down(self) -> None:
        """Hear of every change of its slots from now on."""
        self.holdings.kept_by(self)
        for seat in self.seats:
            seat.held.keeper = seat
        self.widen()

    def widen(self) -> None:
        """As Keeper.widen."""
        serves = self.kind.rows
        self._others = tuple(held for queue, held in self.holdings.queues.items() if queue not in serves)
        self.settle()

    @property
    def active(self) -> int:
        """Slots taken, over all queues."""
        return self.elsewhere + self.holdings.taken

    def refuse(self, signature: Signature) -> None:
        """It has refused a run like that."""
        self.refuses = {**self.refuses, signature: self.refuses.get(signature, 0) + 1}

    def forgive(self, signature: Signature) -> bool:
        """One refusal is long ago; True if it was the last one."""
        left = self.refuses.get(signature, 0) - 1
        others = {refused: times for refused, times in self.refuses.items() if refused != signature}
        self.refuses = {**others, signature: left} if left > 0 else others or _NOTHING
        return left == 0

    def is_now(self, worker: Worker) -> None:
        """The worker is another in what does not make it of another kind."""
        self.worker, self.instance = worker, worker.instance

    @property
    def open(self) -> bool:
        """Whether it takes work now."""
        return not self.closed_because

    def reason(self, *, connected: bool, resting: bool) -> str:
        """Why it should take no work, in words; empty: it should."""
        return unavailable(self.worker, connected=connected) or ("refused a run a moment ago" if resting else "")

    def settle(self) -> None:
        """Put its seats where they belong, after anything about its slots has changed."""
        active = self.elsewhere
        for seat in self.seats:
            active += len(seat.held)
        for held in self._others:
            active += len(held)
        spare = self.kind.concurrency - active
        alone = len(self.seats) == 1 and not self._others
        for seat in self.seats:
            seat.room = 0 if self.closed_because else seat.limit
            seat.alone = alone and seat.elsewhere == self.elsewhere
            seat.put(active, spare)

    def seat(self, queue: str) -> Seat | None:
        """Its seat in a queue; None when it does not serve it."""
        return next((seat for seat in self.seats if seat.row.queue == queue), None)
