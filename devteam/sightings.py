"""What those who look on a mesh see of it: its tasks and its workers, first as they are, then whatever changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devteam.models import Task, WorkerInfo
from devteam.routing import Routing


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far the answer of a running task is: the tokens of this attempt that are stored."""

    task_id: str
    attempt: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TasksSeen:
    """Tasks that are new or have changed, without their prompts and outputs.

    `current` says that all that there was at the beginning has been told. While the connection is broken, `interrupted`
    says why; after it, all tasks are told again, and `removed` are those that nothing more can be said about: they
    ended meanwhile.
    """

    tasks: tuple[Task, ...] = ()
    current: bool = False
    progress: tuple[TaskProgress, ...] = ()
    removed: tuple[str, ...] = ()
    interrupted: str = ""


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """Workers that are new or have changed, and the ids of those that left.

    `current` and `interrupted` as in TasksSeen. `reasons` says why a worker left, where that is known. `routing` is set
    when it was told, or told anew, how operators want tasks to be placed.
    """

    workers: tuple[WorkerInfo, ...] = ()
    removed: tuple[str, ...] = ()
    current: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    routing: Routing | None = None
    interrupted: str = ""
