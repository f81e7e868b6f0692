"""What `devteam top` shows, gathered from what is told. Knows nothing of terminals."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from heapq import nsmallest

from devteam.models import QueueInfo, Task, TaskState, WorkerInfo, WorkerStatus
from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
from devteam_cli.pace import Pace


class TopView:
    """Workers, queues and open tasks as they were told last."""

    def __init__(self) -> None:
        self.queues: Sequence[QueueInfo] = ()
        # What has not been told in full yet, and what is told no more, and why.
        self._missing = {"queues", "tasks", "workers"}
        self._lost: dict[str, str] = {}
        self._workers: dict[str, WorkerInfo] = {}
        self._open: dict[str, Task] = {}
        self._running: dict[str, Task] = {}
        self._busy: Counter[str] = Counter()
        # What waits for a worker, and since when; not what waits for other steps.
        self._waiting: dict[str, datetime] = {}
        self._paces: dict[str, Pace] = {}

    @property
    def trouble(self) -> list[str]:
        """What of the picture is missing, or may be old; empty when it is as the mesh is."""
        waiting = sorted(self._missing - self._lost.keys())
        said = [f"waiting for the mesh to tell of its {', '.join(waiting)}"] if waiting else []
        for reason in dict.fromkeys(self._lost.values()):
            old = ", ".join(sorted(what for what, why in self._lost.items() if why == reason))
            said.append(f"reconnecting ({old} as last known); the connection is lost: {reason}")
        return said

    @property
    def workers(self) -> list[WorkerInfo]:
        """Those that are not well first, then in the order of their ids."""
        return sorted(self._workers.values(), key=lambda worker: (worker.status is WorkerStatus.HEALTHY, worker.id))

    @property
    def running(self) -> list[Task]:
        """The longest running first."""
        return sorted(self._running.values(), key=lambda task: (task.started_at is None, task.started_at, task.id))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self._workers or self.queues or self._running or self._waiting)

    def running_on(self, worker_id: str) -> int:
        """How many run on that worker: sooner known than by its next beat."""
        return self._busy[worker_id]

    @property
    def waiting_count(self) -> int:
        """How many wait for a worker."""
        return len(self._waiting)

    @property
    def pending_count(self) -> int:
        """How many wait for other steps, or for their plan to begin."""
        return len(self._open) - len(self._running) - len(self._waiting)

    def waiting(self, most: int | None) -> list[tuple[Task, datetime]]:
        """What waits for a worker, the longest first, and since when."""
        since = [(moment, task_id) for task_id, moment in self._waiting.items()]
        chosen = sorted(since) if most is None else nsmallest(most, since)
        return [(self._open[task_id], moment) for moment, task_id in chosen]

    def pace(self, task: Task) -> Pace | None:
        """How its answer comes; None while nothing was told of it."""
        pace = self._paces.get(task.id)
        return pace if pace and pace.attempt == task.attempt else None

    def rate(self, now: datetime) -> float:
        """Tokens a second, of all that runs."""
        return sum(pace.rate(now) or 0.0 for task in self._running.values() if (pace := self.pace(task)))

    def see_queues(self, queues: Sequence[QueueInfo] | None, trouble: str = "") -> None:
        """Take in all queues; None when they cannot be seen, for the reason given."""
        self._note("queues", trouble, current=queues is not None)
        self.queues = self.queues if queues is None else queues

    def see_workers(self, seen: WorkersSeen) -> None:
        """Take in what was told of workers."""
        self._note("workers", seen.interrupted, current=seen.current)
        self._workers.update({worker.id: worker for worker in seen.workers})
        for worker_id in seen.removed:
            self._workers.pop(worker_id, None)

    def see_tasks(self, seen: TasksSeen, now: datetime) -> None:
        """Take in what was told of tasks."""
        self._note("tasks", seen.interrupted, current=seen.current)
        for task in seen.tasks:
            self._see_task(task, now)
        for task_id in seen.removed:
            self._forget(task_id)
        for told in seen.progress:
            self._see_progress(told, now)

    def _see_task(self, task: Task, now: datetime) -> None:
        if task.state.ended:
            self._forget(task.id)
            return
        before = self._open.get(task.id)
        self._open[task.id] = task
        self._stop(task.id)
        if task.state is TaskState.RUNNING:
            self._running[task.id] = task
            self._busy[task.worker_id] += 1
        if task.state is not TaskState.QUEUED:
            self._waiting.pop(task.id, None)
        elif task.id not in self._waiting:
            fresh = before is None and not task.depends_on
            self._waiting[task.id] = task.created_at if fresh and task.created_at else now

    def _see_progress(self, told: TaskProgress, now: datetime) -> None:
        pace = self._paces.get(told.task_id)
        if pace is None or pace.attempt != told.attempt:
            self._paces[told.task_id] = Pace(told.attempt, told.tokens, now)
        else:
            pace.add(told.tokens, now)

    def _forget(self, task_id: str) -> None:
        self._stop(task_id)
        for known in (self._open, self._waiting, self._paces):
            known.pop(task_id, None)

    def _stop(self, task_id: str) -> None:
        if before := self._running.pop(task_id, None):
            self._busy[before.worker_id] -= 1

    def _note(self, what: str, lost: str, *, current: bool) -> None:
        if lost:
            self._lost[what] = lost
        elif current:
            self._lost.pop(what, None)
            self._missing.discard(what)
