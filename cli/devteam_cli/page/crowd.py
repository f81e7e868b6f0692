"""Which tasks are shown when there are more than anybody can look at."""

from collections.abc import Iterable
from datetime import UTC, datetime
from heapq import nsmallest

from devteam.models import Task, TaskState
from devteam_cli.page.board import Board
from devteam_cli.page.content import task_content

# A browser can draw that many; the figures of the queues count the others too.
_MOST = 2_000
_MOST_ENDED = 200
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Crowd:
    """Puts tasks on a board: those that run, then those that were there first, and the newest that ended.

    Under "mesh", the board's "crowd" tells how many others there are.
    """

    def __init__(self, board: Board, most: int = _MOST, most_ended: int = _MOST_ENDED) -> None:
        self._board = board
        self._most = most
        self._most_ended = most_ended
        self._alive: dict[str, Task] = {}
        self._ended: dict[str, Task] = {}

    def tell(self, tasks: Iterable[Task], removed: Iterable[str] = ()) -> None:
        """Tasks as they are now, and the ids of those of which nothing is known any more."""
        news = {task.id for task in tasks}
        for task_id in removed:
            self._alive.pop(task_id, None)
        for task in tasks:
            self._sort_in(task)
        known = self._board.ids("tasks")
        shown = {**self._ended, **self._chosen()}
        for task_id in (news & shown.keys()) | (shown.keys() - known):
            self._board.put("tasks", task_id, task_content(shown[task_id]))
        for task_id in known - shown.keys():
            self._board.drop("tasks", task_id)
        self._board.put("mesh", "crowd", {"others": max(len(self._alive) - self._most, 0)})

    def clear(self) -> None:
        """Forget everybody; the board is cleared by whoever owns it."""
        self._alive.clear()
        self._ended.clear()

    def _sort_in(self, task: Task) -> None:
        if not task.state.ended:
            self._alive[task.id] = task
            return
        self._alive.pop(task.id, None)
        self._ended[task.id] = task
        if len(self._ended) > self._most_ended:
            del self._ended[next(iter(self._ended))]

    def _chosen(self) -> dict[str, Task]:
        if len(self._alive) <= self._most:
            return self._alive
        return {task.id: task for task in nsmallest(self._most, self._alive.values(), _urgency)}


def _urgency(task: Task) -> tuple[bool, datetime]:
    return task.state is not TaskState.RUNNING, task.created_at or _LONG_AGO
