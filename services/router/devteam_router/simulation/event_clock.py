"""Time that passes from event to event."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# Where the wall clock begins; a Thursday, at midnight.
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Alarm:
    """A call that is due at a moment of the simulation."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Make sure that it does not happen."""
        self.callback = None


class EventClock:
    """A clock that jumps to what is due next: a day takes as long as there is something to do in it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Alarm]] = []
        self._count = 0

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def now(self) -> datetime:
        """The simulated wall clock, in UTC."""
        return _BEGINNING + timedelta(seconds=self._now)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Alarm:
        """Call back once; what is due at the same moment is called in the order in which it was asked for."""
        alarm = Alarm(callback)
        self._count += 1
        heapq.heappush(self._due, (self._now + max(0.0, seconds), self._count, alarm))
        return alarm

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has run the clock so far."""
        woken = asyncio.Event()
        self.call_later(seconds, woken.set)
        await woken.wait()

    def run(self, events: int) -> bool:
        """Let so many events happen; False once there are no more."""
        for _ in range(events):
            while self._due and self._due[0][2].callback is None:
                heapq.heappop(self._due)
            if not self._due:
                return False
            self._now, _, alarm = heapq.heappop(self._due)
            callback, alarm.callback = alarm.callback, None
            if callback is not None:
                callback()
        return True
