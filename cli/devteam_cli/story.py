"""What happens in a mesh, in order, out of what two watches tell. Knows nothing of terminals."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from datetime import datetime

from devteam.models import Plan, Task, WorkerInfo
from devteam.routing import Routing
from devteam.sightings import TasksSeen, WorkersSeen
from devteam_cli import happenings
from devteam_cli.happenings import Happening

# Tasks that have ended and may be heard of again: when the last hop of a cancel is stored, after a reconnection.
_REMEMBERED = 10_000
# So many ends a mesh tells of at a beginning at most.
_MOST_ENDS = 1_000


class Story:
    """Tells what happened since a moment, from looks at tasks and workers.

    It keeps what has not ended, and of a plan all its tasks until the last of them has. `unsure` are plans all of whose
    known tasks have ended, but which were not seen from their beginning: whoever tells the story has to look.
    """

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._tasks: dict[str, Task] = {}
        self._plans: defaultdict[str, dict[str, Task]] = defaultdict(dict)
        self._whole: set[str] = set()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._workers: dict[str, WorkerInfo] = {}
        self._routing: Routing | None = None
        # Looks that belong to a beginning which has not been told to its end.
        self._begun: list[Task] = []
        self._current = False
        # Of tasks and of workers: what cannot be heard of now.
        self._unheard: set[str] = set()
        self.unsure: set[str] = set()

    @property
    def since(self) -> datetime:
        """From when on the story is whole: later than was wished for where the mesh did not tell of more ends."""
        return self._since

    def tasks(self, seen: TasksSeen, now: datetime) -> list[Happening]:
        """What is news in a look at tasks; in the order of their moments what there was at a beginning."""
        if seen.interrupted:
            self._begun, self._current = [], False
            return [self._interrupted("tasks", seen.interrupted, now)]
        tasks = [*self._begun, *(task for task in seen.tasks if task.id not in self._over)]
        if not seen.current:
            self._begun = tasks
            return []
        told = [happening for task in self._beginning(tasks) for happening in self._task(task, now)]
        for plan_id in dict.fromkeys(task.plan_id for task in tasks):
            told += self._plan(plan_id)
        for task_id in seen.removed:
            told += self._gone(task_id, now)
        if self._current:
            return told
        self._current = True
        return [*self._back("tasks", now), *sorted(told, key=lambda happening: happening.at)]

    def workers(self, seen: WorkersSeen, now: datetime) -> list[Happening]:
        """What is news in a look at workers."""
        if seen.interrupted:
            return [self._interrupted("workers", seen.interrupted, now)]
        told = self._back("workers", now) if seen.current else []
        for worker in seen.workers:
            told += happenings.of_worker(self._workers.get(worker.id), worker, self._since, now)
            self._workers[worker.id] = worker
        for worker_id in seen.removed:
            self._workers.pop(worker_id, None)
            reason = seen.reasons.get(worker_id, "left while nobody could tell why")
            told.append(happenings.of_leaver(worker_id, reason, now))
        if seen.routing is not None:
            told += happenings.of_queues(self._routing, seen.routing, now)
            self._routing = seen.routing
        return told

    def looked_up(self, plan: Plan) -> list[Happening]:
        """What is known of a plan of which that was unsure."""
        self.unsure.discard(plan.id)
        ended = happenings.of_plan_ended(plan)
        if ended is None:
            return []
        self._forget(plan.id)
        return [ended] if ended.at >= self._since else []

    def erased(self, plan_id: str, now: datetime) -> list[Happening]:
        """A plan of which that was unsure is not there any more."""
        self.unsure.discard(plan_id)
        self._forget(plan_id)
        text = "ended and was erased before this could hear how"
        return [Happening(at=now, kind="plan.gone", text=text, plan_id=plan_id)]

    def _task(self, task: Task, now: datetime) -> Iterator[Happening]:
        before = self._tasks.get(task.id)
        if task.plan_id != task.id:
            if task.plan_id not in self._plans and task.created_at and task.created_at >= self._since:
                self._whole.add(task.plan_id)
                yield happenings.of_plan_begun(task, task.created_at)
            self._plans[task.plan_id][task.id] = task
        yield from happenings.of_task(before, task, self._since, now)
        self._tasks[task.id] = task
        if task.state.ended:
            self._end(task.id)

    def _plan(self, plan_id: str) -> list[Happening]:
        tasks = self._plans.get(plan_id, {})
        ended = happenings.of_tasks_ended(tasks.values())
        if ended is None:
            return []
        if plan_id not in self._whole:
            self.unsure.add(plan_id)
            return []
        self._forget(plan_id)
        return [ended]

    def _gone(self, task_id: str, now: datetime) -> list[Happening]:
        task = self._tasks.get(task_id)
        if task is None:
            return []
        self._end(task_id)
        self._whole.discard(task.plan_id)
        self._plans.pop(task.plan_id, None)
        return [Happening(at=now, kind="task.gone", text="ended while nobody could tell how", task_id=task_id)]

    def _end(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._over[task_id] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def _forget(self, plan_id: str) -> None:
        self._plans.pop(plan_id, None)
        self._whole.discard(plan_id)

    def _beginning(self, tasks: list[Task]) -> list[Task]:
        self._begun = []
        ends = [task.ended_at for task in tasks if task.ended_at]
        if not self._current and len(ends) >= _MOST_ENDS:
            self._since = max(self._since, min(ends))
        return tasks

    def _interrupted(self, what: str, reason: str, now: datetime) -> Happening:
        self._unheard.add(what)
        text = f"nothing is heard of {what}: connection lost ({reason}); trying again"
        return Happening(at=now, kind="mesh.interrupted", text=text)

    def _back(self, what: str, now: datetime) -> list[Happening]:
        if what not in self._unheard:
            return []
        self._unheard.discard(what)
        return [Happening(at=now, kind="mesh.back", text=f"{what} are heard of again, and what was missed is told")]
