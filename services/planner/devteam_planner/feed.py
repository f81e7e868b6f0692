"""What becomes of all tasks, read once for everybody who looks on, and not at all while nobody does."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam_planner.audience import PART, Line
from devteam_planner.bell import Bell, Listener
from devteam_planner.overview import Overview, Write

_log = structlog.get_logger()

# Changes that follow each other more closely come as one, in seconds.
_GATHER = 0.1
_COUNT_EVERY = 1.0
# How far before the last read the next one begins: a write is seen once its transaction has ended, and the clocks of
# Planners differ. Now and then further, for transactions that take long and clocks that differ much.
_NEAR, _FAR = timedelta(seconds=2), timedelta(seconds=30)
_FAR_EVERY = 5.0
_WRITES = 1000


class Feed:
    """Fills the lines of all who look on. `run` has to run beside it.

    It reads when this process has written, and every `poll` seconds for what other Planners wrote. No line, of at most
    `backlog` tasks, ever holds it back.
    """

    def __init__(
        self, overview: Overview, bell: Bell, clock: Clock, *, poll: float = 0.5, backlog: int = 5_000
    ) -> None:
        self.overview = overview
        self._bell = bell
        self._clock = clock
        self._poll = poll
        self._backlog = backlog
        self._lines: set[Line] = set()
        self._watched = asyncio.Event()
        # The number of the read that began last.
        self.number = 0
        self._read_at = clock.now()
        self._far_at = self._count_at = 0.0
        # Writes that were told of, as long as a read may find them again.
        self._told: dict[str, Write] = {}

    @contextmanager
    def line(self, *, counts: bool, whose: str = "") -> Iterator[Line]:
        """All news from now on, while the block runs. Look at the store after entering, so that nothing is missed."""
        line = Line(self._backlog, self._clock.now(), counts=counts, whose=whose)
        self._lines.add(line)
        self._watched.set()
        try:
            yield line
        finally:
            self._lines.discard(line)
            if not self._lines:
                self._watched.clear()

    async def run(self) -> None:
        """Read while somebody looks on. Never returns."""
        while True:
            await self._watched.wait()
            self._read_at = self._clock.now()
            self._far_at = self._count_at = self._clock.monotonic()
            self._told.clear()
            with self._bell.listening_to_all() as listener:
                await self._follow(listener)

    async def _follow(self, listener: Listener) -> None:
        away = False
        while self._lines:
            try:
                await self._read()
                await self._count()
                away = False
            except Unavailable as error:
                if not away:  # once for each time that it goes away, not twice a second
                    _log.warning("those who look on are told later", error=error.message)
                away = True
            await self._clock.sleep(_GATHER)
            if self._lines:
                await listener.heard(self._poll - _GATHER)

    async def _read(self) -> None:
        began, far = self._clock.now(), self._clock.monotonic() >= self._far_at
        since = min(self._read_at, began) - (_FAR if far else _NEAR)
        self.number += 1
        async for writes in self._new_writes(since):
            # Once everybody has fallen behind, each reads for himself.
            keeping = any(line.behind_since is None for line in self._lines)
            tasks = await self.overview.tasks([write.task_id for write in writes]) if keeping else []
            for line in self._lines:
                line.offer(tasks, since, self.number)
            # Perhaps there was a later write already when the tasks were read.
            versions = {task.task_id: task.version for task in tasks}
            self._told |= {
                write.task_id: replace(write, version=versions.get(write.task_id, write.version)) for write in writes
            }
            await asyncio.sleep(0)  # SQLite is read in the event loop itself: others have their turn
        for line in self._lines:
            line.offer((), since, self.number)
        self._read_at = began
        if far:
            self._far_at = self._clock.monotonic() + _FAR_EVERY
            self._told = {key: write for key, write in self._told.items() if write.changed_at > since - _FAR}

    async def _new_writes(self, since: datetime) -> AsyncGenerator[list[Write], None]:
        """Writes that were not told of yet, in parts."""
        after = ""
        while True:
            found = await self.overview.writes(since, after, _WRITES)
            news = [write for write in found if write.version > self._version(write.task_id)]
            for start in range(0, len(news), PART):
                yield news[start : start + PART]
            if len(found) < _WRITES:
                return
            since, after = found[-1].changed_at, found[-1].task_id

    def _version(self, task_id: str) -> int:
        told = self._told.get(task_id)
        return -1 if told is None else told.version

    async def _count(self) -> None:
        lines = [line for line in self._lines if line.wants_counts]
        if lines and self._clock.monotonic() >= self._count_at:
            self._count_at = self._clock.monotonic() + _COUNT_EVERY
            counts = await self.overview.counts()
            for line in lines:
                line.offer_counts(counts)
