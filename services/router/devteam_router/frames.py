"""What the Router says to a worker."""

from dataclasses import dataclass
from enum import StrEnum

from devteam_router.domain import AttemptId, Run


class CancelReason(StrEnum):
    """Why a worker shall stop an attempt."""

    REQUESTED = "requested"
    FENCED = "fenced"


class RejectReason(StrEnum):
    """Why a worker does not take a run."""

    BUSY = "busy"
    DRAINING = "draining"
    NOT_SERVED = "not_served"


class DrainReason(StrEnum):
    """Who drains: the worker, or the Router itself."""

    WORKER = "worker"
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Attached:
    """The stream is open; times in seconds."""

    beat_interval: float
    beat_timeout: float
    window_bytes: int
    router_id: str
    concurrency: int = 0


@dataclass(frozen=True, slots=True)
class BeatAck:
    """The beat of that number was heard."""

    number: int


@dataclass(frozen=True, slots=True)
class Assign:
    """Run this, in a slot of that queue."""

    run: Run
    queue: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop that attempt."""

    id: AttemptId
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Resume:
    """Send what comes after this seq."""

    id: AttemptId
    after_seq: int


@dataclass(frozen=True, slots=True)
class TokensAck:
    """Tokens up to this seq are stored."""

    id: AttemptId
    seq: int


@dataclass(frozen=True, slots=True)
class ReportAck:
    """The outcome is stored."""

    id: AttemptId


@dataclass(frozen=True, slots=True)
class Drain:
    """No more work will be assigned. `deadline` in seconds from now; None: as the worker's own settings say."""

    reason: DrainReason
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """So many slots do operators want of it, over all queues."""

    concurrency: int


Frame = Attached | BeatAck | Assign | Cancel | Resume | TokensAck | ReportAck | Drain | Slots
