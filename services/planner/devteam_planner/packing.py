"""Packs what was streamed token by token into few rows, once its attempt is over.

A streamed answer is a row for every token or two: good while it is written and watched live, costly to keep for as long
as its plan is kept.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import TypeVar

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import Backoff
from devteam_planner.domain import Batch
from devteam_planner.overview import Overview
from devteam_planner.ports import STORE_AWAY, Stretch, TokenStore, Unreadable

_log = structlog.get_logger()
_T = TypeVar("_T")

# What a batch may have: no watcher gets larger messages than from a worker (`Tokens` in run.proto).
MOST_TOKENS, _MOST_BYTES = 256, 64 * 1024
# Fewer rows are not worth a transaction.
_FEW = 3
# Seconds after an attempt's end: by then what was on its way to the store in that moment has been stored, or refused.
_MOMENT = 5.0
# Beyond these, what ends is left as it is; and how many of the last that ended a start looks at.
_MOST_WAITING, _RECALLED = 50_000, 1_000
_PAGE = 1024
# After each transaction the database belongs to others for so many times as long as it took, within these seconds.
_SHARE, _SHORTEST_PAUSE, _LONGEST_PAUSE = 9, 0.01, 2.0
# Live tokens that wait for the store for so many seconds go first.
_LATE = 0.05
_EVER = datetime.fromtimestamp(0, UTC)


class Packer:
    """Packs the answers of tasks whose attempts ended here.

    `join` makes one payload of those of batches that follow each other, or raises Unreadable. `lag` says for how many
    seconds live tokens have waited for the store.
    """

    def __init__(
        self,
        store: TokenStore,
        overview: Overview,
        clock: Clock,
        *,
        join: Callable[[Sequence[Batch]], bytes],
        lag: Callable[[], float],
    ) -> None:
        self._store = store
        self._overview = overview
        self._clock = clock
        self._join = join
        self._lag = lag
        self._backoff = Backoff(clock)
        self._pause = _SHORTEST_PAUSE
        self._full = False
        self._said = ""
        # Tasks, and when it is their turn.
        self._waiting: deque[tuple[float, str]] = deque()
        self._some = asyncio.Event()

    def ended(self, task_id: str, tokens: int) -> None:
        """An attempt of the task is over, after so many tokens (0: nobody counted). Never waits, never raises."""
        if 0 < tokens < _FEW:
            return
        if len(self._waiting) >= _MOST_WAITING:
            if not self._full:
                _log.warning("answers stay in many rows: more end than can be packed", waiting=len(self._waiting))
            self._full = True
            return
        self._full = False
        self._waiting.append((self._clock.monotonic() + _MOMENT, task_id))
        self._some.set()

    async def run(self) -> None:
        """One task after the other. Never returns; waits while the store is unavailable."""
        for task_id in await self._tried(partial(self._overview.ended, _EVER, _RECALLED)):
            # Perhaps it ended here, before this Planner was killed.
            self.ended(task_id, 0)
        while True:
            task_id = await self._next()
            try:
                await self._pack(task_id)
            except (Unavailable, Unreadable) as error:
                self._say(task_id, str(error))

    def _say(self, task_id: str, error: str) -> None:
        """Once for all that one missing key has sealed."""
        if error != self._said:
            _log.warning("an answer stays in many rows: it cannot be read", task_id=task_id, error=error)
        self._said = error

    async def _next(self) -> str:
        await self._some.wait()
        due, task_id = self._waiting[0]
        await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
        self._waiting.popleft()
        if not self._waiting:
            self._some.clear()
        return task_id

    async def _pack(self, task_id: str) -> None:
        after, full = (0, 0), True
        while full:
            page = await self._tried(partial(self._store.stretches, task_id, after=after, limit=_PAGE))
            for stretch in worth_merging(page):
                await self._tried(partial(self._store.merge, task_id, stretch, partial(self._merged, stretch)))
            full = len(page) == _PAGE
            after = (page[-1].attempt, page[-1].last_seq) if page else after

    async def _tried(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """In its turn, and again while the store is away. Raises Unavailable for what will not be better soon."""
        while True:
            await self._turn()
            began = self._clock.monotonic()
            try:
                done = await call()
            except Unavailable as error:
                if error.reason not in STORE_AWAY:
                    raise
                await self._backoff.pause()
            else:
                self._backoff.reset()
                return done
            finally:
                took = self._clock.monotonic() - began
                self._pause = min(max(_SHORTEST_PAUSE, _SHARE * took), _LONGEST_PAUSE)

    async def _turn(self) -> None:
        await self._clock.sleep(self._pause)
        while self._lag() > _LATE:
            await self._clock.sleep(_LATE)

    def _merged(self, stretch: Stretch, batches: Sequence[Batch]) -> Batch | None:
        """One batch of those of a stretch, if they still are what they were when it was looked at."""
        first, last = batches[0].first_seq, batches[-1].last_seq
        whole = (first, last) == (stretch.first_seq, stretch.last_seq)
        if not whole or len(batches) < _FEW or any(b.first_seq != a.last_seq + 1 for a, b in pairwise(batches)):
            return None
        return Batch(first, last, self._join(batches))


def worth_merging(stored: Iterable[Stretch]) -> list[Stretch]:
    """Of batches in their order, the stretches in which enough of them follow each other to be one instead."""
    runs: list[list[Stretch]] = [[]]
    size = 0
    for batch in stored:
        size += batch.size
        if not _fits(runs[-1], batch, size):
            runs.append([])
            size = batch.size
        runs[-1].append(batch)
    return [_whole(run) for run in runs if len(run) >= _FEW]


def _fits(run: Sequence[Stretch], batch: Stretch, size: int) -> bool:
    if not run:
        return True
    follows = batch.first_seq == run[-1].last_seq + 1 and batch.attempt == run[-1].attempt
    return follows and batch.last_seq - run[0].first_seq < MOST_TOKENS and size <= _MOST_BYTES


def _whole(run: Sequence[Stretch]) -> Stretch:
    return Stretch(run[0].attempt, run[0].first_seq, run[-1].last_seq, sum(batch.size for batch in run))
