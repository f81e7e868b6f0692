"""One worker's stream, the Router's end."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from devteam.mesh.errors import DevTeamError, ResourceExhausted
from devteam_router.domain import WorkerInstance
from devteam_router.frames import Frame

# Frames that wait for a worker to read them: several times what one that attaches with all it may have is told at once.
_MOST_UNREAD = 100_000


class Link:
    """Frames on their way to a worker. Anyone may send; one writer takes them out, in order."""

    def __init__(self, worker: WorkerInstance) -> None:
        self.worker = worker
        # How many slots operators want of the worker, as it was told last.
        self.slots = 0
        # It spoke of what is not its own, and the log tells of it.
        self.suspected = False
        self._frames: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._out = asyncio.Event()
        self._closed = False
        self._error: DevTeamError | None = None

    def send(self, frame: Frame) -> None:
        """Put a frame on the stream, unless that has ended in an error. A worker that does not read loses its line."""
        if self._error is not None:
            return
        if len(self._frames) >= _MOST_UNREAD:
            self._frames.clear()
            self.close(ResourceExhausted("the worker does not read what it is told", reason="SLOW_CONSUMER"))
            return
        self._frames.append(frame)
        self._out.clear()
        self._news.set()

    def close(self, error: DevTeamError | None = None) -> None:
        """End the stream once what was sent is out, with `error` if there is one. The first call counts."""
        if not self._closed:
            self._closed, self._error = True, error
            self._news.set()

    async def flushed(self) -> None:
        """Return once everything that was sent is out."""
        await self._out.wait()

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """What was sent, until the link is closed. Raises the error that it was closed with."""
        while True:
            while self._frames:
                yield self._frames.popleft()
            self._out.set()
            if self._closed:
                break
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error
