"""What watchers are told."""

from dataclasses import dataclass

from devteam_planner.domain import Batch, Plan, Task


@dataclass(frozen=True, slots=True)
class PlanSnapshot:
    """The plan with all its tasks, as it is now."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """The task as it is now."""

    task: Task


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An attempt begins; what the older ones said no longer counts."""

    task_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class TokensRead:
    """The tokens of `batch` that come after seq `after`."""

    task_id: str
    attempt: int
    batch: Batch
    after: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Tokens that can no longer be had, both ends included."""

    task_id: str
    attempt: int
    first_seq: int
    last_seq: int


TaskEvent = TaskChanged | AttemptStarted | TokensRead | Gap
PlanEvent = PlanSnapshot | TaskEvent


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a watcher has read a task: up to token `after_seq` of `attempt`; attempt 0: nothing yet."""

    attempt: int = 0
    after_seq: int = 0
