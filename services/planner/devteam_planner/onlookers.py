"""Tells those who look on: all tasks that are open, then whatever changes, at each one's own pace."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from devteam.mesh.clock import Clock
from devteam.mesh.errors import InvalidInput, Violation
from devteam_planner.audience import PART, Line, News
from devteam_planner.feed import Feed

# How many ended tasks a watch begins with at most.
_MOST_ENDED = 1_000
_WRITES = 1_000
# Clocks differ: a moment so little ahead is no future.
_LENIENCE = timedelta(minutes=1)


class Onlookers:
    """Opens watches of all tasks."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._overview = feed.overview
        self._feed = feed
        self._clock = clock

    async def watch(self, since: datetime | None, *, counts: bool, whose: str = "") -> AsyncGenerator[News, None]:
        """Open tasks, with `since` also what has ended from then on, then every change; with `counts`, of tokens too.

        Of one tenant, or (empty `whose`) of all. A watcher that reads slowly is told less often, of each task only the
        latest. Raises InvalidInput for a `since` in the future, Unavailable.
        """
        if since is not None and since > self._clock.now() + _LENIENCE:
            raise InvalidInput(Violation("since", "OUT_OF_BOUNDS", "lies in the future; leave it unset to begin now"))
        with self._feed.line(counts=counts, whose=whose) as line:
            async with aclosing(self._beginning(line, since)) as parts:
                async for news in parts:
                    yield news
            yield News()
            while True:
                await line.ready()
                if (behind := line.catch_up()) is not None:
                    async with aclosing(self._missed(line, behind)) as parts:
                        async for news in parts:
                            yield news
                elif (news := line.take()).tasks or news.counts:
                    yield news

    async def _beginning(self, line: Line, since: datetime | None) -> AsyncGenerator[News, None]:
        if since is not None:
            ended = await self._overview.ended(since, _MOST_ENDED, line.whose)
            for start in range(0, len(ended), PART):
                yield await self._told(line, ended[start : start + PART], current=False)
        after, full = "", True
        while full:
            tasks = await self._overview.open(after, PART, line.whose)
            line.note(tasks)
            if tasks:
                yield News(tuple(tasks), current=False)
                after = tasks[-1].task_id
            full = len(tasks) == PART
        line.settle(self._feed.number)

    async def _missed(self, line: Line, since: datetime) -> AsyncGenerator[News, None]:
        """What was written since, out of the store."""
        after, full = "", True
        while full:
            writes = await self._overview.writes(since, after, _WRITES)
            for start in range(0, len(writes), PART):
                yield await self._told(line, [write.task_id for write in writes[start : start + PART]], current=True)
            full = len(writes) == _WRITES
            if full:
                since, after = writes[-1].changed_at, writes[-1].task_id
        line.settle(self._feed.number)

    async def _told(self, line: Line, task_ids: Sequence[str], *, current: bool) -> News:
        tasks = [task for task in await self._overview.tasks(task_ids) if line.concerns(task.tenant)]
        line.note(tasks)
        return News(tuple(tasks), current=current)
