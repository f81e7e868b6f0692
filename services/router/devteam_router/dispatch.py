"""One attempt between a worker and a Planner: what the Planner shall hear, kept until it is stored there."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

from devteam.mesh.errors import Aborted
from devteam_router.domain import AttemptId, Decision, Run, Wait, WorkerInstance


class Stage(StrEnum):
    """How far an attempt is."""

    WAITING = "waiting"
    # A worker was told, and has not answered yet.
    ASSIGNED = "assigned"
    RUNNING = "running"
    # A Planner asks for it, but the worker that has it is not connected.
    RECONNECTING = "reconnecting"
    # A worker has it, but no Planner has asked for it yet since this Router started.
    UNCLAIMED = "unclaimed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Waits:
    """It waits for a worker."""

    wait: Wait
    queue: str


@dataclass(frozen=True, slots=True)
class AssignedTo:
    """A worker was given it."""

    worker: WorkerInstance
    decision: Decision
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class HasStarted:
    """The worker has accepted it."""


@dataclass(frozen=True, slots=True)
class ToldToStop:
    """A cancel was asked for, and is on the worker's stream."""

    worker: WorkerInstance


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Consecutive tokens; `payload`, of `size` bytes, is not looked into."""

    first_seq: int
    last_seq: int
    size: int
    payload: object


@dataclass(frozen=True, slots=True)
class Patience:
    """A provider wants no more of a model for some seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Reported:
    """The worker's last word; complete once all tokens up to last_seq were handed over."""

    last_seq: int
    payload: object
    # What its provider asked for, if that was the end of it.
    patience: Patience | None = None


@dataclass(frozen=True, slots=True)
class NeverRan:
    """It left the line without having been given to anyone: cancelled, or out of time."""

    cancelled: bool
    message: str


@dataclass(frozen=True, slots=True)
class WasLost:
    """The worker vanished with it; or it `never_began` there, as far as anybody knows."""

    worker: WorkerInstance
    message: str
    never_began: bool = False


Status = Waits | AssignedTo | HasStarted | ToldToStop
End = Reported | NeverRan | WasLost
Event = Status | TokenBatch | End


@dataclass(slots=True)
class Dispatch:
    """One side writes, the other follows at its own pace; neither waits for the other."""

    id: AttemptId
    run: Run | None
    stage: Stage
    worker: WorkerInstance | None = None
    cancel_requested: bool = False
    # Tokens up to here have come from the worker, without gaps.
    received: int = 0
    held_bytes: int = 0
    # After this moment on the monotonic clock it is given to nobody.
    place_until: float | None = None
    end: End | None = None
    _batches: deque[TokenBatch] = field(default_factory=deque)
    # What is told no more was dropped from their front, so many of them.
    _statuses: list[Status] = field(default_factory=list)
    _dropped: int = 0
    _follower: int = 0
    followed: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def floor(self) -> int:
        """The seq after which tokens can be had here."""
        return self._batches[0].first_seq - 1 if self._batches else self.received

    @property
    def status(self) -> Status | None:
        """How it stands."""
        return self._statuses[-1] if self._statuses else None

    @property
    def assignment(self) -> AssignedTo | None:
        """Where it was given to last."""
        return next((status for status in reversed(self._statuses) if isinstance(status, AssignedTo)), None)

    def tell(self, status: Status) -> None:
        """Say how it stands; a Planner that comes later hears what still holds."""
        self._statuses.append(status)
        self._news.set()

    def take(self, batch: TokenBatch) -> bool:
        """Keep tokens for the Planner; False when they do not follow on what came before."""
        if batch.first_seq != self.received + 1:
            return False
        self.received = batch.last_seq
        self.held_bytes += batch.size
        self._batches.append(batch)
        self._news.set()
        return True

    def restart_after(self, seq: int) -> None:
        """Forget the tokens kept here: the worker will send everything after `seq` again."""
        self._batches.clear()
        self.held_bytes = 0
        self.received = seq

    def acknowledge(self, seq: int) -> None:
        """Let go of tokens that the Planner has stored."""
        while self._batches and self._batches[0].last_seq <= seq:
            self.held_bytes -= self._batches.popleft().size

    def finish(self, end: End) -> None:
        """Note the last word; the first one counts."""
        if self.end is None:
            self.end = end
            self.stage = Stage.ENDED
            self._news.set()

    def dismiss(self) -> None:
        """Nobody shall follow it any longer: whoever does is told that somebody else took over."""
        self._follower += 1
        self.followed = False
        self._news.set()

    async def follow(self, last_seq: int) -> AsyncGenerator[Event, None]:
        """Everything after `last_seq`, as it comes, until the last word. A later follower takes over.

        Raises Aborted when that happens.
        """
        self._follower += 1
        me, cursor, told = self._follower, last_seq, self._dropped + self._standing()
        self.followed = True
        self._news.set()
        try:
            while self._follower == me:
                self._news.clear()
                for status in self._statuses[told - self._dropped :]:
                    told += 1
                    yield status
                if self._follower == me:
                    self._drop(told)
                for batch in self._after(cursor):
                    cursor = batch.last_seq
                    yield batch
                if self._follower != me:
                    break
                if self._over(cursor):
                    assert self.end is not None
                    yield self.end
                    return
                await self._news.wait()
        finally:
            if self._follower == me:
                self.followed = False
        raise Aborted("another planner dispatched this attempt", reason="DISPATCH_SUPERSEDED")

    def _standing(self) -> int:
        """Where the statuses begin that still hold: who has started was assigned, and a newcomer must hear where."""
        latest = len(self._statuses) - 1
        while latest > 0 and isinstance(self._statuses[latest], HasStarted | ToldToStop):
            latest -= 1
        return max(latest, 0)

    def _drop(self, told: int) -> None:
        """Forget what was told and holds no longer."""
        useless = min(self._standing(), told - self._dropped)
        del self._statuses[:useless]
        self._dropped += useless

    def _after(self, cursor: int) -> list[TokenBatch]:
        newest_first = takewhile(lambda batch: batch.last_seq > cursor, reversed(self._batches))
        return list(newest_first)[::-1]

    def _over(self, cursor: int) -> bool:
        return self.end is not None and (not isinstance(self.end, Reported) or cursor >= self.end.last_seq)
