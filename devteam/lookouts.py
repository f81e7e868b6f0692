"""What has been told of a mesh over several connections: after a broken one all is told again, or is gone."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

from devteam import fleet_wire, routing_wire, wire
from devteam.models import Task
from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
from devteam.v1 import planner_pb2, registry_pb2

# Ends that are remembered, so as not to be told twice: as many as a new connection tells again at most.
_ENDS = 1000
# A new connection goes back a little further than the last one came: Planners' clocks differ.
_OVERLAP = timedelta(seconds=5)


class TaskLookout:
    """Tasks, from `since` on."""

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._current = False
        self._open: set[str] = set()
        # Those of a connection that broke, until the next one has told of them.
        self._missing: set[str] = set()
        self._ends: OrderedDict[str, Task] = OrderedDict()
        self._newest: datetime | None = None
        self._heard_at: datetime | None = None

    def begin(self) -> datetime | None:
        """A connection begins; returns since when it has to tell of changes."""
        # This machine's clock may be ahead of the mesh's: it has to do only where there is no moment of the mesh.
        if self._current and (last := self._newest or (None if self._since else self._heard_at)):
            self._since = last - _OVERLAP
        self._current = False
        self._missing = set(self._open)
        return self._since

    def seen(self, response: planner_pb2.WatchTasksResponse, now: datetime) -> TasksSeen:
        """What of a message is news."""
        tasks = [wire.task_from_proto(task) for task in response.tasks]
        news = tuple(task for task in tasks if self._is_news(task))
        removed: tuple[str, ...] = ()
        if response.current and not self._current:
            self._current = True
            removed = tuple(sorted(self._missing))
            self._open -= self._missing
        self._heard_at = now
        progress = (TaskProgress(told.task_id, told.attempt, told.tokens) for told in response.progress)
        return TasksSeen(news, self._current, tuple(progress), removed)

    def _is_news(self, task: Task) -> bool:
        self._missing.discard(task.id)
        self._newest = _latest((self._newest, task.created_at, task.started_at, task.ended_at))
        if not task.state.ended:
            self._open.add(task.id)
            return True
        self._open.discard(task.id)
        known = self._ends.get(task.id) == task
        self._ends[task.id] = task
        if len(self._ends) > _ENDS:
            self._ends.popitem(last=False)
        return not known


class WorkerLookout:
    """Workers, and how operators want tasks to be placed."""

    def __init__(self) -> None:
        self._current = False
        self._known: set[str] = set()
        self._missing: set[str] = set()

    def begin(self) -> None:
        """A connection begins."""
        self._current = False
        self._missing = set(self._known)

    def seen(self, response: registry_pb2.WatchWorkersResponse) -> WorkersSeen | None:
        """What a message says; None when that is nothing for those who look on."""
        match response.WhichOneof("event"):
            case "snapshot":
                return self._snapshot(response.snapshot)
            case "changed":
                return self._told([response.changed])
            case "removed":
                gone = response.removed
                self._known.discard(gone.worker_id)
                return WorkersSeen((), (gone.worker_id,), self._current, {gone.worker_id: gone.reason})
            case "routing":
                return WorkersSeen(current=self._current, routing=routing_wire.routing_from_proto(response.routing))
        return None

    def _snapshot(self, part: registry_pb2.WorkerSnapshot) -> WorkersSeen:
        self._missing -= {record.worker.worker_id for record in part.workers}
        if not part.complete:
            return self._told(part.workers)
        self._current = True
        gone, self._missing = self._missing, set()
        self._known -= gone
        return self._told(part.workers, tuple(sorted(gone)))

    def _told(self, records: Iterable[registry_pb2.WorkerRecord], gone: tuple[str, ...] = ()) -> WorkersSeen:
        workers = tuple(fleet_wire.worker_from_proto(record.worker) for record in records)
        self._known |= {worker.id for worker in workers}
        return WorkersSeen(workers, gone, self._current)


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
