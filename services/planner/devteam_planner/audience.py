"""What those who look on have yet to be told: of each task only the latest, and never more than fits."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from devteam_planner.domain import Task
from devteam_planner.overview import Count

# Tasks that are told at once, and read from the store at once: a few milliseconds' work.
PART = 200


@dataclass(frozen=True, slots=True)
class News:
    """Tasks as they are after a change, and counts of tokens. `current`: the beginning has been told."""

    tasks: tuple[Task, ...] = ()
    counts: tuple[Count, ...] = ()
    current: bool = True


class Line:
    """One watcher's news, from the moment `now` on. Whoever falls more than `limit` tasks behind reads the store.

    It hears only of what is `whose`; "": of every tenant's.
    """

    def __init__(self, limit: int, now: datetime, *, counts: bool, whose: str = "") -> None:
        self.wants_counts = counts
        self.whose = whose
        self._opened_at = now
        # Since when nothing was kept, because too much had gathered; None while all is kept.
        self.behind_since: datetime | None = None
        self._limit = limit
        self._tasks: dict[str, Task] = {}
        # When the oldest of them may have been written.
        self._oldest: datetime | None = None
        self._counts: dict[str, Count] = {}
        self._counted: dict[str, Count] = {}
        # Versions that the watcher read from the store, until no older ones can come any more.
        self._versions: dict[str, int] = {}
        # The number of the last read that may bring some; None while the watcher reads.
        self._last_old: int | None = None
        self._settled = False
        self._wake = asyncio.Event()

    def concerns(self, tenant: str) -> bool:
        """Whether its watcher may hear of what is that tenant's."""
        return self.whose in ("", tenant)

    def offer(self, tasks: Iterable[Task], since: datetime, number: int) -> None:
        """Take what the read of that number found; nothing in it was written before `since`."""
        if self._last_old is not None and number > self._last_old:
            self._settled = True
            self._versions.clear()
        if self.behind_since is not None:
            return
        for task in tasks:
            if self.concerns(task.tenant) and (self._settled or self._is_news(task)):
                self._oldest = min(self._oldest or since, since)
                self._tasks.pop(task.task_id, None)  # so that it comes in the order of changes
                self._tasks[task.task_id] = task
                self._wake.set()
        if len(self._tasks) > self._limit:
            self.behind_since = self._oldest
            self._tasks.clear()

    def offer_counts(self, counts: Iterable[Count]) -> None:
        """Take the counts of all that runs; those that did not change are no news."""
        now = {count.task_id: count for count in counts if self.concerns(count.tenant)}
        waiting = self._counts | {key: count for key, count in now.items() if self._counted.get(key) != count}
        self._counts = {key: count for key, count in waiting.items() if key in now}
        self._counted = now
        if self._counts:
            self._wake.set()

    def note(self, tasks: Iterable[Task]) -> None:
        """These were read from the store, and need not be told of again."""
        for task in tasks:
            self._versions[task.task_id] = task.version
            if (waiting := self._tasks.get(task.task_id)) and waiting.version <= task.version:
                del self._tasks[task.task_id]

    def settle(self, number: int) -> None:
        """No more is read from the store; the read of this number, and the next, may still find what is older."""
        self._last_old = number + 1

    def catch_up(self) -> datetime | None:
        """Since when the store has to be read, if the watcher has fallen behind; from now on all is kept again."""
        since, self.behind_since = self.behind_since, None
        if since is not None:
            self._oldest, self._last_old, self._settled = None, None, False
        return since

    async def ready(self) -> None:
        """Wait until there is something to tell."""
        await self._wake.wait()

    def take(self) -> News:
        """The next part of it."""
        tasks = tuple(islice(self._tasks.values(), PART))
        for task in tasks:
            del self._tasks[task.task_id]
        counts, self._counts = tuple(self._counts.values()), {}
        if not self._tasks:
            self._oldest = None
            self._wake.clear()
        return News(tasks, counts)

    def _is_news(self, task: Task) -> bool:
        """Whether the store had not told it. What ended before the watcher came, and was not told as open, is none."""
        known = self._versions.get(task.task_id)
        if known is None:
            return task.ended_at is None or task.ended_at > self._opened_at
        return task.version > known
