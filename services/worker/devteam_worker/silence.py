"""How long somebody may say nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Silence:
    """The time in which somebody is listened to and says nothing; `limit` expires when that was `seconds` at a stretch.

    One timer that looks when it could be so: one for every token would cost more than all else that is done to a token.
    """

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # Since when somebody listens; None: nobody does.
        self._since: float | None = None
        self._timer = self._loop.call_later(seconds, self._look)

    def begins(self) -> None:
        """From now on somebody listens."""
        self._since = self._loop.time()

    def ends(self) -> None:
        """Something was said: whoever heard it has to do with it first."""
        self._since = None

    def stop(self) -> None:
        """Look no longer."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        due = (now if self._since is None else self._since) + self._seconds
        if due <= now:
            self._limit.reschedule(now)
        else:
            self._timer = self._loop.call_at(due, self._look)


@asynccontextmanager
async def silence(seconds: float) -> AsyncIterator[Silence]:
    """Watch over the body. Raises TimeoutError in it where a silence lasts for `seconds`."""
    async with asyncio.timeout(None) as limit:
        watched = Silence(limit, seconds)
        try:
            yield watched
        finally:
            watched.stop()
