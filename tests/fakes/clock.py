"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# Callbacks of one moment. More of them are a timer that is set for no time again and again: it would never end.
_MOST_AT_ONCE = 200_000


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Monotonic from 1000.0, the wall at noon of 2026-11-22 UTC; `advance` moves both and fires what is due."""

    def __init__(self) -> None:
        self._monotonic = 1000.0
        self._wall = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self._due: list[tuple[float, int, FakeTimer]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> datetime:
        return self._wall

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        self._count += 1
        heapq.heappush(self._due, (self._monotonic + seconds, self._count, timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not awake.done():
                awake.set_result(None)

        self.call_later(seconds, wake)
        await awake

    def advance(self, seconds: float) -> None:
        """Move on, calling back in order whatever becomes due on the way."""
        end, at_once = self._monotonic + seconds, 0
        while self._due and self._due[0][0] <= end:
            due, _, timer = heapq.heappop(self._due)
            at_once = at_once + 1 if due <= self._monotonic else 0
            assert at_once < _MOST_AT_ONCE, (
                f"a timer is set again and again for the moment that it is due in: {timer.callback}"
            )
            self._move_to(due)
            if not timer.cancelled:
                timer.callback()
        self._move_to(end)

    def stall(self, seconds: float) -> None:
        """Time passes while the loop is held up: what is due has not been called back yet."""
        self._move_to(self._monotonic + seconds)

    def set_wall(self, moment: datetime) -> None:
        """Make the wall clock jump; the monotonic one does not notice."""
        self._wall = moment

    def _move_to(self, monotonic: float) -> None:
        self._wall += timedelta(seconds=monotonic - self._monotonic)
        self._monotonic = monotonic
