"""What the mesh answers with: tasks, plans, workers and queues, as they were at one moment.

Moments are in UTC. An empty string or None always means "nothing to say (yet)". UNKNOWN states come from a mesh newer
than this client.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from devteam.specs import Strategy, TaskSpec


class TaskState(StrEnum):
    """Where a task is in its life."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether the task will never change again."""
        return self in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.SKIPPED}


class PlanState(StrEnum):
    """Where a plan is in its life."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the plan will never change again."""
        return self in {PlanState.SUCCEEDED, PlanState.FAILED, PlanState.CANCELLED}


class WorkerStatus(StrEnum):
    """Whether a worker takes new work (HEALTHY), and if not, why not."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    UNHEALTHY = "unhealthy"
    LOST = "lost"
    CORDONED = "cordoned"
    DRAINING = "draining"


class Availability(StrEnum):
    """Whether a worker is meant to take new work: what an operator wants of it."""

    OPEN = "open"
    CORDONED = "cordoned"
    DRAINING = "draining"


class WaitReason(StrEnum):
    """Why a task is not with a worker yet."""

    UNKNOWN = "unknown"
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


class FailureReason(StrEnum):
    """Why a run failed."""

    UNKNOWN = "unknown"
    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"
    CREDENTIALS = "credentials"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_CONNECTION = "provider_connection"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    SCHEDULE_TIMEOUT = "schedule_timeout"
    WORKER_LOST = "worker_lost"
    POISON = "poison"
    HANDLER = "handler"
    PROMPT_TOO_LARGE = "prompt_too_large"
    OUTPUT_TOO_LARGE = "output_too_large"
    INTERNAL = "internal"
    MAX_TURNS = "max_turns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a run consumed, as the provider counts them; `input_tokens` includes the cached ones.

    `cost_usd` in US dollars, None where the worker knows no price of the model.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """How a run came to its end: who answered, with which model, and why the model stopped."""

    provider: str
    model: str
    stop_reason: str = ""
    usage: Usage = Usage()
    time_to_first_token: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run that had started did not succeed; `usage` of the turns that had ended before."""

    reason: FailureReason
    message: str
    retryable: bool = False
    retry_after: timedelta | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTrail:
    """A cancel on its way from the client to the model's connection; what has not happened yet is None.

    `stopped_at` is when the worker's word that the model has stopped was stored; `model_closed_after` is how long, by
    the worker's clock, the model's connection took to be closed.
    """

    requested_at: datetime | None = None
    router_told_at: datetime | None = None
    worker_told_at: datetime | None = None
    stopped_at: datetime | None = None
    model_closed_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, be it a step of a plan or one of its own.

    `cancel_trail` is there once a cancel was asked for. `attempt` counts from 1; 0 is "none yet". `output` is there
    in what `get_task` and `wait` return. `usage` is what the last attempt consumed, however it ended; None while it is
    open, and where its worker did not say.
    """

    id: str
    plan_id: str
    step_id: str
    state: TaskState
    spec: TaskSpec
    depends_on: tuple[str, ...] = ()
    attempt: int = 0
    worker_id: str = ""
    queue: str = ""
    placement_reason: str = ""
    wait_reason: str = ""
    output: str = ""
    output_bytes: int = 0
    completion: Completion | None = None
    failure: Failure | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_trail: CancelTrail | None = None
    tenant: str = ""
    trace_id: str = ""
    plan_name: str = ""
    usage: Usage | None = None

    @property
    def prompt(self) -> str:
        """The prompt as it was submitted, its templates not rendered."""
        return self.spec.prompt

    @property
    def model(self) -> str:
        """The model as it was asked for."""
        return self.spec.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan; its tasks come in the order of the steps as submitted, and are left out of lists."""

    id: str
    name: str
    state: PlanState
    input: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    created_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    tenant: str = ""
    trace_id: str = ""

    @property
    def final_tasks(self) -> tuple[Task, ...]:
        """The tasks that no other task depends on: what the plan was made for."""
        needed = {step for task in self.tasks for step in task.depends_on}
        return tuple(task for task in self.tasks if task.step_id not in needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """How a worker's machine is doing, in bytes; a total of 0 is not known. The disk is that of the worker's files."""

    memory_available: int = 0
    memory_total: int = 0
    disk_free: int = 0
    disk_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker as the mesh sees it.

    `models` are the patterns that it serves, in any of its queues; none means every model. `next_status` is what it
    becomes at `next_status_at` if nothing is heard of it; None at a moment that is set means: it is forgotten then.
    `availability` is what was asked of it, also while its status says something worse. `drain_deadline_at` is when a
    draining worker hands back what still runs, where an operator gave it a time. `router_id` names the router that it
    is connected to; empty: none, as far as is known. `weight` is what one of its slots counts for. `model_aliases` are
    what short names of models stand for there. `vitals` are those of its last beat. `resident_models` are the local
    models that are in its memory.
    """

    id: str
    status: WorkerStatus = WorkerStatus.HEALTHY
    status_reason: str = ""
    next_status: WorkerStatus | None = None
    next_status_at: datetime | None = None
    active_tasks: int = 0
    concurrency: int = 1
    queues: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    local_models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    gpu: bool = False
    gpu_model: str = ""
    ram_gb: float = 0.0
    cpu_cores: int = 0
    version: str = ""
    registered_at: datetime | None = None
    last_heartbeat: datetime | None = None
    uptime: timedelta = timedelta()
    availability: Availability = Availability.OPEN
    drain_deadline_at: datetime | None = None
    router_id: str = ""
    weight: float = 1.0
    model_aliases: Mapping[str, str] = field(default_factory=dict)
    vitals: Vitals | None = None
    resident_models: tuple[str, ...] = ()


class Workers(list[WorkerInfo]):
    """Workers in the order of their ids. `notice` says what concerns the whole fleet; mostly it is empty."""

    def __init__(self, workers: Iterable[WorkerInfo] = (), notice: str = "") -> None:
        super().__init__(workers)
        self.notice = notice


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue: how much waits and runs, and what there is to run it.

    Nothing of a `paused` one starts. `strategy` is how its workers are picked, unless a task says otherwise.
    """

    name: str
    waiting: int = 0
    running: int = 0
    slots: int = 0
    workers: int = 0
    oldest_waiting_since: datetime | None = None
    paused: bool = False
    strategy: Strategy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """A model of which nothing starts for a while, anywhere; `reason` says who asked for it and how.

    `waiting` tasks wait for its end.
    """

    model: str
    until: datetime
    reason: str = ""
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One worker as it was weighed for a queue; `rejected_because` is empty when it could have been chosen.

    A lower `score` is better; `merits` says in words what it measures. `alike` counts the workers that are like it in
    all that matters here, itself included: a large fleet is explained by kinds.
    """

    worker_id: str
    rejected_because: str = ""
    active: int = 0
    capacity: int = 0
    score: float = 0.0
    merits: str = ""
    queue: str = ""
    alike: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a task waits, or why it runs where it runs; `reason` says it in words, the best of `candidates` come first.

    While it waits, `wait_reason` is set, and `until` where the reason ends by itself. Where it runs, or would run, is
    `worker_id`: picked by `strategy` among `eligible` workers with a free slot, of which `tied` were equally good,
    after it had `waited`. A task not yet submitted that could start now has neither a `wait_reason` nor, perhaps, a
    `worker_id`: it would go to the best of the candidates.
    """

    reason: str
    queue: str = ""
    worker_id: str = ""
    candidates: tuple[Candidate, ...] = ()
    wait_reason: WaitReason | None = None
    until: datetime | None = None
    strategy: Strategy | None = None
    eligible: int = 0
    tied: int = 0
    waited: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What this call has erased so far.

    `waiting_for`: plans that were cancelled and have not ended yet. `done`: nothing that was there at the beginning is
    left.
    """

    plans: int = 0
    tasks: int = 0
    waiting_for: int = 0
    done: bool = False
