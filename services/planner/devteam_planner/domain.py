"""The Planner's nouns: plans, tasks, attempts and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# Whose tasks they are that nobody named a tenant for.
DEFAULT_TENANT = "default"

MAX_PROMPT_BYTES = 256 * 1024
MAX_OUTPUT_BYTES = 3 * 1024 * 1024
MAX_STEPS = 500

# Seconds until another Planner takes over the steps of one that died.
TAKEOVER = 10.0

# The step id of a task that is a plan of its own.
SOLE_STEP = "task"


class TaskState(StrEnum):
    """Where a task is on its way; the last four are ends."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.SKIPPED}


class PlanState(StrEnum):
    """Where a plan is on its way; the last three are ends."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {PlanState.SUCCEEDED, PlanState.FAILED, PlanState.CANCELLED}


class FailureReason(StrEnum):
    """Why a run failed; the contract's FailureReason says what each means."""

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


class GivenBack(StrEnum):
    """Why an attempt ended that costs nothing."""

    DRAINING = "draining"
    RATE_LIMITED = "rate_limited"
    # It had a worker, and no Router to tell it so.
    NEVER_BEGAN = "never_began"
    # A worker of another version has reasons that are not known here.
    UNKNOWN = "unknown"


class OnWorkerLoss(StrEnum):
    """What becomes of a task whose worker vanished."""

    RESTART = "restart"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a worker must have; the defaults ask for nothing."""

    gpu: bool = False
    gpu_model: str = ""
    min_ram_gb: float = 0.0
    min_cpu_cores: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    # Names of data that must be close at hand on the worker.
    data_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a task may run and in what order it waits. `strategy` is the contract's name without its prefix, or ""."""

    requirements: Requirements = field(default_factory=Requirements)
    strategy: str = ""
    priority: int = 3
    near_data_source: str = ""
    preferred_queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """How a model is asked; `options` go to the provider as they are (JSON values)."""

    max_tokens: int = 0
    effort: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    max_turns: int = 0


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """When to try again and when to give up; times in seconds."""

    max_attempts: int = 3
    on_worker_loss: OnWorkerLoss = OnWorkerLoss.RESTART
    run_timeout: float = 3600.0
    schedule_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What is to be run; prompts may hold templates."""

    prompt: str
    model: str
    queue: str = ""
    system_prompt: str = ""
    tools: tuple[str, ...] = ()
    placement: Placement = field(default_factory=Placement)
    generation: Generation = field(default_factory=Generation)
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True)
class Step:
    """A task within a plan that is not yet accepted."""

    id: str
    spec: TaskSpec
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run consumed."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A run that came to its end; times in seconds."""

    provider: str
    model: str
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    time_to_first_token: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that started and failed; `retry_after` in seconds, `usage` of the turns that had ended before."""

    reason: FailureReason
    message: str
    retryable: bool = False
    retry_after: float | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A run that was stopped because someone asked for it.

    `took`: seconds on the worker's clock, from its hearing of it until the model's connection was closed. `usage` of
    the turns that had ended before.
    """

    took: float | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A run given back unfinished; burns no attempt. `retry_after` in seconds.

    `provider` asked for patience; the Routers start nothing of the model before `retry_after` has passed. `usage` of
    the turns that had ended before.
    """

    message: str
    retry_after: float | None = None
    provider: str = ""
    reason: GivenBack = GivenBack.UNKNOWN
    usage: Usage = field(default_factory=Usage)


Outcome = Completion | Failure | Cancelled | HandedBack


@dataclass(frozen=True, slots=True)
class WorkerInstance:
    """Which instance of which worker."""

    worker_id: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class CancelTrail:
    """A cancel on its way from the client to the model; None: not yet. `model_closed_after` in seconds."""

    requested_at: datetime
    router_told_at: datetime | None = None
    worker_told_at: datetime | None = None
    # The worker's word that it has stopped was stored.
    stopped_at: datetime | None = None
    # By the worker's clock, from hearing of it until the model's connection was closed.
    model_closed_after: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it is stored.

    `attempt` is the number of the newest attempt (0: none yet) and fences every write that concerns a run.
    `attempt_open` says that this attempt has begun and not ended: whoever drives the task next goes on with it.
    `burnt` counts the attempts that failed or were lost; hand-backs are not among them. `spent` is what the newest took
    if it has ended with neither a completion nor a failure.
    """

    task_id: str
    plan_id: str
    step_id: str
    position: int
    spec: TaskSpec
    depends_on: tuple[str, ...]
    state: TaskState
    created_at: datetime
    attempt: int = 0
    attempt_open: bool = False
    burnt: int = 0
    worker: WorkerInstance | None = None
    queue: str = ""
    placement_reason: str = ""
    wait_reason: str = ""
    output: str = ""
    output_bytes: int = 0
    completion: Completion | None = None
    failure: Failure | None = None
    spent: Usage = field(default_factory=Usage)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_trail: CancelTrail | None = None
    tenant: str = DEFAULT_TENANT
    # Of its plan, so that lists of tasks can be read. The id of no trace is empty.
    plan_name: str = ""
    trace_id: str = ""
    # Raised by every write, so that watchers see what changed.
    version: int = 0

    @property
    def usage(self) -> Usage:
        """What the newest attempt took, however it ended; nothing while it is open, and where nobody said."""
        end = self.completion or self.failure
        return end.usage if end else self.spent


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it is stored; `tasks` in the order of its steps (left empty in lists)."""

    plan_id: str
    name: str
    state: PlanState
    input: Mapping[str, str]
    created_at: datetime
    # True for a task of its own, which is kept as a plan of one step.
    sole: bool = False
    tasks: tuple[Task, ...] = ()
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    request_id: str = ""
    # SHA-256 of the request that made it, to tell a repeated request from a reused id.
    request_digest: str = ""
    tenant: str = DEFAULT_TENANT
    # W3C trace context of the create call.
    trace_context: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one task, why it was begun, and when: None for those of older versions.

    `traceparent`: the span of the driver that began it, in W3C's form; empty when there was none.
    """

    task_id: str
    number: int
    reason: str
    begun_at: datetime | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive tokens of one attempt.

    `payload` is the contract's Tokens message, as bytes that only `convert` reads.
    """

    first_seq: int
    last_seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, ready for the Router: prompts rendered. After `schedule_deadline` it is given to no worker."""

    task: Task
    prompt: str
    system_prompt: str
    trace_context: Mapping[str, str]
    schedule_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What the workflow has to know about one call of the step driver.

    `state` is an end of the task, or QUEUED when another attempt is due `retry_after` seconds from now.
    """

    state: TaskState
    retry_after: float = 0.0


def task_id_of(plan_id: str, step_id: str) -> str:
    """The id of a step as a task; a task of its own shares its plan's id."""
    return plan_id if step_id == SOLE_STEP else f"{plan_id}.{step_id}"
