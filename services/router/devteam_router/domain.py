"""The Router's nouns: runs that look for a worker, and workers as the Registry describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class StrategyName(StrEnum):
    """How a worker is picked among those that could run a task."""

    ROUND_ROBIN = "round-robin"
    LEAST_LOADED = "least-loaded"
    CAPABILITY_MATCH = "capability-match"
    LOCALITY = "locality"


class WaitReason(StrEnum):
    """Why a run is not with a worker yet, from the first filter that left nobody to the last."""

    NO_WORKER_IN_QUEUE = "no_worker_in_queue"
    NO_WORKER_SERVES_MODEL = "no_worker_serves_model"
    NO_WORKER_MEETS_REQUIREMENTS = "no_worker_meets_requirements"
    NO_WORKER_AVAILABLE = "no_worker_available"
    ALL_SLOTS_BUSY = "all_slots_busy"
    WORKER_RECONNECTING = "worker_reconnecting"
    PROVIDER_THROTTLED = "provider_throttled"
    WAITING_FOR_LOCALITY = "waiting_for_locality"
    QUEUE_PAUSED = "queue_paused"
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a run is not with a worker yet, what would change that, and when it ends by itself (None: it does not)."""

    reason: WaitReason
    detail: str
    until: datetime | None = None

    def news_to(self, known: "Wait | None") -> bool:
        """Whether who was told of `known` should hear of this."""
        if known is None or known.reason is not self.reason:
            return True
        if self.reason is not WaitReason.PROVIDER_THROTTLED or self.until is None or known.until is None:
            return False
        return abs((self.until - known.until).total_seconds()) > 1


class WorkerState(StrEnum):
    """The Registry's verdict about a worker's life."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    UNHEALTHY = "unhealthy"
    LOST = "lost"


class Availability(StrEnum):
    """Whether a worker takes new work."""

    OPEN = "open"
    CORDONED = "cordoned"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a worker must have; the defaults ask for nothing."""

    gpu: bool = False
    gpu_model: str = ""
    min_ram_gb: float = 0.0
    min_cpu_cores: int = 0
    # Sorted, so that equal requirements are equal keys.
    labels: tuple[tuple[str, str], ...] = ()
    data_sources: tuple[str, ...] = ()


class AttemptId(NamedTuple):
    """Names one attempt of one task; fences everything that concerns a run. The key of many tables, hence a tuple."""

    task_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Signature:
    """All that placement looks at: runs of one signature are interchangeable to every worker.

    Looked up with every decision, so its hash is computed once.
    """

    queues: tuple[str, ...]
    model: str
    requirements: Requirements = field(default_factory=Requirements)
    tools: tuple[str, ...] = ()
    strategy: StrategyName | None = None
    near_data_source: str = ""
    # The queues are the fleet's preferences for the model, and change with them.
    preferred: bool = False
    # Whose runs they are, where workers tell; empty: no worker is for this tenant alone.
    tenant: str = ""
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        wishes = (self.strategy, self.near_data_source, self.preferred, self.tenant)
        object.__setattr__(self, "_hash", hash((self.queues, self.model, self.requirements, self.tools, wishes)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Run:
    """An attempt that looks for a worker.

    `payload` is what the worker will be sent; the Router's domain never looks inside. `schedule_within` is the time in
    seconds that it may wait, from now. `tenant` is who it counts against.
    """

    id: AttemptId
    signature: Signature
    payload: object
    priority: int = 3
    schedule_within: float | None = None
    tenant: str = "default"


@dataclass(frozen=True, slots=True)
class WorkerInstance:
    """Which instance of which worker."""

    worker_id: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class WorkerQueue:
    """A queue that a worker serves; no models means every model."""

    name: str
    concurrency: int
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """The worker's machine."""

    gpu: bool = False
    gpu_model: str = ""
    ram_gb: float = 0.0
    cpu_cores: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """Where the worker stands."""

    region: str = ""
    zone: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as the Registry describes it."""

    instance: WorkerInstance
    queues: Mapping[str, WorkerQueue]
    concurrency: int
    resources: Resources = field(default_factory=Resources)
    labels: Mapping[str, str] = field(default_factory=dict)
    location: Location = field(default_factory=Location)
    data_sources: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    # Models that lie on its machine, and those of them that are loaded in memory.
    local_models: frozenset[str] = frozenset()
    resident_models: frozenset[str] = frozenset()
    # What one of its slots counts for beside other workers'.
    weight: float = 1.0
    # Whose runs it takes; empty: everyone's.
    tenant: str = ""
    state: WorkerState = WorkerState.HEALTHY
    availability: Availability = Availability.OPEN
    session_digest: str = ""
    # While it drains: seconds, from when the Registry said so, until it hands back what runs. None: as it likes.
    drain_within: float | None = None

    @property
    def id(self) -> str:
        """The worker's stable id."""
        return self.instance.worker_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker as it was weighed for a run in one queue.

    `score` is lower for better ones, and `merits` says what it is made of. `alike` counts the workers that it stands
    for: those that are like it in all that matters to the run, itself included.
    """

    worker: Worker
    queue: str
    active: int
    capacity: int
    rejected_because: str = ""
    score: float = 0.0
    merits: str = ""
    alike: int = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """How a worker was chosen; `waited` in seconds.

    `eligible` workers had a free slot, `tied` of them were equally good, the chosen one included.
    """

    strategy: StrategyName
    queue: str
    reason: str
    eligible: int
    waited: float
    tied: int = 1
