"""The worker's nouns: what it is given to run, and how that ends."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devteam_worker.providers.base import FailureReason, LocalModel, Prompt, Token, Usage


@dataclass(frozen=True, slots=True)
class AttemptId:
    """Names one attempt of one task; fences everything that concerns a run."""

    task_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run as the Router gives it; `run_timeout` in seconds."""

    id: AttemptId
    plan_id: str
    step_id: str
    queue: str
    prompt: Prompt
    run_timeout: float
    trace_context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completed:
    """The run came to its end; `time_to_first_token` in seconds."""

    provider: str
    model: str
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    time_to_first_token: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed; `retry_after` in seconds, if the provider said so. `usage` of the turns that had ended before."""

    reason: FailureReason
    message: str
    retryable: bool = False
    retry_after: float | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was stopped, and the model's connection is closed.

    `took`: seconds from hearing that it shall stop until that connection was closed; None: it never ran. `usage` of the
    turns that had ended before.
    """

    took: float | None = None
    usage: Usage = field(default_factory=Usage)


class HandBackReason(StrEnum):
    """Why a run is given back unfinished."""

    DRAINING = "draining"
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The run is given back unfinished, for somebody else to run; `retry_after` in seconds.

    `provider`: who asked for patience, "handler" for the worker's own code; empty when nobody did. `usage` of the turns
    that had ended before.
    """

    reason: HandBackReason
    message: str
    retry_after: float | None = None
    provider: str = ""
    usage: Usage = field(default_factory=Usage)


Outcome = Completed | Failed | Cancelled | HandedBack
Emit = Callable[[Token], Awaitable[None]]
# Hears what a run has taken, for when it does not come to say so itself.
Spend = Callable[[Usage], None]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that this worker serves; no models means every model."""

    name: str
    concurrency: int
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Occupied:
    """Slots that are taken, over all queues and by queue."""

    total: int = 0
    by_queue: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the worker runs; memory in gigabytes (10^9 bytes)."""

    cpu_cores: int = 0
    ram_gb: float = 0.0
    gpu: bool = False
    gpu_model: str = ""
    region: str = ""
    zone: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a worker says of itself when it registers; `weight` is what a slot of it counts for beside others'."""

    worker_id: str
    instance_id: str
    queues: tuple[Queue, ...]
    concurrency: int
    machine: Machine = field(default_factory=Machine)
    labels: Mapping[str, str] = field(default_factory=dict)
    local_models: tuple[LocalModel, ...] = ()
    data_sources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    version: str = ""
    weight: float = 1.0
    # What short names of models stand for here.
    model_aliases: Mapping[str, str] = field(default_factory=dict)
