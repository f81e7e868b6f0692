"""What the Registry talks about: workers, what they declare and what operators want."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from math import ceil

from devteam_registry.health import Health, WorkerState
from devteam_registry.owners import Owner
from devteam_registry.routing import Routing

# As the contract bounds the concurrency of a queue.
_MOST_SLOTS = 10_000


class Availability(IntEnum):
    """Whether a worker takes new work; the greater of two wishes is the more restrictive one."""

    OPEN = 1
    CORDONED = 2
    DRAINING = 3


@dataclass(frozen=True, slots=True)
class WorkerQueue:
    """A queue that a worker serves, and the model patterns that it runs for it (none: every model)."""

    name: str
    concurrency: int
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """The machine; `ram_gb` in units of 10^9 bytes."""

    gpu: bool = False
    gpu_model: str = ""
    ram_gb: float = 0.0
    cpu_cores: int = 0


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on the worker's machine; `resident` when it is loaded in memory."""

    name: str
    resident: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """Where a worker stands; each field narrows the one before it."""

    region: str = ""
    zone: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a worker's machine is doing, in bytes; a total of 0 is not known."""

    memory_available: int = 0
    memory_total: int = 0
    disk_free: int = 0
    disk_total: int = 0


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker declares about itself.

    A `concurrency` of 0 means the sum over the queues. A `weight` is what one of its slots counts for beside those of
    other workers; 0 means 1.
    """

    worker_id: str
    queues: tuple[WorkerQueue, ...]
    concurrency: int = 0
    resources: Resources = Resources()
    labels: Mapping[str, str] = field(default_factory=dict)
    location: Location = Location()
    local_models: tuple[LocalModel, ...] = ()
    data_sources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    version: str = ""
    weight: float = 0.0
    # What short names of models stand for there.
    model_aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """Attempts at a time over all queues."""
        return self.concurrency or sum(queue.concurrency for queue in self.queues)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an operator wants of a worker. A `concurrency` or `weight` of 0 and an absent label are no wish.

    `drain_until` is when a draining worker hands back what still runs: a moment of the wall clock, which means the same
    after a restart. None: the worker's own settings decide.
    """

    concurrency: int = 0
    availability: Availability = Availability.OPEN
    labels: Mapping[str, str] = field(default_factory=dict)
    drain_until: datetime | None = None
    weight: float = 0.0

    def drain_rest(self, now: datetime) -> float | None:
        """Seconds until `drain_until`, 0 when that has passed; None without a deadline."""
        return None if self.drain_until is None else max(0.0, (self.drain_until - now).total_seconds())

    def over(self, spec: WorkerSpec) -> WorkerSpec:
        """`spec` with these wishes put over it; a label wished empty is taken away.

        More slots than were declared are more in each queue, in proportion; fewer are fewer over all of them.
        """
        labels = {
            key: value for key, value in {**spec.labels, **self.labels}.items() if value or key not in self.labels
        }
        return replace(
            spec,
            queues=tuple(self._widened(queue, spec.slots) for queue in spec.queues),
            concurrency=self.concurrency or spec.concurrency,
            labels=labels,
            weight=self.weight or spec.weight,
        )

    def _widened(self, queue: WorkerQueue, declared: int) -> WorkerQueue:
        if self.concurrency <= declared:
            return queue
        return replace(queue, concurrency=min(ceil(queue.concurrency * self.concurrency / declared), _MOST_SLOTS))

    def fulfilled_by_leaving(self) -> "Wishes":
        """What is still wanted once the worker's process has ended: a drain is done, a cordon stays."""
        if self.availability is Availability.DRAINING:
            return replace(self, availability=Availability.OPEN, drain_until=None)
        return self


@dataclass(frozen=True, slots=True)
class WishChange:
    """New values of some of the wishes; None leaves a wish as it is.

    `drain_within`, in seconds, belongs to the availability: a new availability without it takes an old deadline away.
    """

    concurrency: int | None = None
    availability: Availability | None = None
    labels: Mapping[str, str] | None = None
    drain_within: float | None = None
    weight: float | None = None

    def applied_to(self, wishes: Wishes, now: datetime) -> Wishes:
        """`wishes` with the named ones replaced."""
        return Wishes(
            concurrency=wishes.concurrency if self.concurrency is None else self.concurrency,
            availability=wishes.availability if self.availability is None else self.availability,
            labels=wishes.labels if self.labels is None else self.labels,
            drain_until=wishes.drain_until if self.availability is None else self._drain_until(now),
            weight=wishes.weight if self.weight is None else self.weight,
        )

    def _drain_until(self, now: datetime) -> datetime | None:
        return None if self.drain_within is None else now + timedelta(seconds=self.drain_within)


@dataclass(frozen=True, slots=True)
class Worker:
    """What is remembered of a worker, over restarts of the Registry too. Times are for display only.

    A worker that has `departed` is on no list; it is remembered for its operator's wishes alone.
    """

    spec: WorkerSpec
    instance_id: str
    session_digest: str
    registered_at: datetime
    last_heartbeat_at: datetime
    own_availability: Availability = Availability.OPEN
    active_tasks: int = 0
    wishes: Wishes = Wishes()
    departed: bool = False
    owner: Owner = field(default_factory=Owner)
    # By its last beat to this process.
    vitals: Vitals | None = None

    @property
    def worker_id(self) -> str:
        """The name that stays over restarts of the worker."""
        return self.spec.worker_id

    @property
    def availability(self) -> Availability:
        """The most restrictive of the worker's own wish and its operator's."""
        return max(self.own_availability, self.wishes.availability)

    @property
    def effective_spec(self) -> WorkerSpec:
        """The declaration with the operator's wishes put over it."""
        return self.wishes.over(self.spec)

    def wishing(self, wishes: Wishes) -> "Worker":
        """The same worker, with other wishes of its operator."""
        return replace(self, wishes=wishes)

    def remains(self) -> "Worker | None":
        """What to remember of this worker once it is gone: nothing, unless an operator wants something of it."""
        wishes = self.wishes.fulfilled_by_leaving()
        return None if wishes == Wishes() else replace(self, wishes=wishes, departed=True)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as callers see it at one moment."""

    worker: Worker
    health: Health
    # When `health.next_state` comes; None: nothing is pending.
    next_state_at: datetime | None
    # Seconds since this instance registered.
    uptime: float
    # The Router that holds its stream; empty: none does, as far as is known.
    router_id: str = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat. `local_models` of None leaves the list as it was."""

    worker_id: str
    instance_id: str
    session_token: str
    active_tasks: int = 0
    availability: Availability = Availability.OPEN
    local_models: tuple[LocalModel, ...] | None = None
    vitals: Vitals | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """The answer to a heartbeat: what operators want, and the seconds until the next beat.

    `drain_rest` is how long what still runs may go on, in seconds; None: as the worker's own settings say.
    """

    state: WorkerState
    heartbeat_interval: float
    availability: Availability
    concurrency: int
    drain_rest: float | None = None


@dataclass(frozen=True, slots=True)
class Farewell:
    """A request to take a worker off the list; an operator gives no session token, and may give no instance."""

    worker_id: str
    instance_id: str = ""
    session_token: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """A worker that has just registered, and the secret that proves it."""

    view: WorkerView
    session_token: str


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Workers with an id after `after`, at most `size` of them, filtered by queue and state where given.

    `whose`: as the tenant sees them; empty: all.
    """

    after: str
    size: int
    queue: str = ""
    state: WorkerState | None = None
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Workers in the order of their ids; `more` when others follow. `notice` concerns the whole fleet, mostly empty."""

    views: tuple[WorkerView, ...]
    more: bool
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A part of the list that a watch begins with; `complete` on the last part."""

    views: tuple[WorkerView, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A worker is new or has changed."""

    view: WorkerView


@dataclass(frozen=True, slots=True)
class Removed:
    """A worker left the list."""

    worker_id: str
    instance_id: str
    reason: str
    owner: Owner = field(default_factory=Owner)


@dataclass(frozen=True, slots=True)
class Router:
    """A Router that watches; an empty `address` is reached through one that is set elsewhere."""

    router_id: str
    address: str


@dataclass(frozen=True, slots=True)
class RouterList:
    """All Routers that are alive and have an address, in the order of their ids."""

    routers: tuple[Router, ...]


Change = Changed | Removed | Routing | RouterList
