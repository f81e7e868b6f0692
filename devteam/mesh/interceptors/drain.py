"""Ends streams that would outlive a server that is stopping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.mesh.errors import Unavailable
from devteam.mesh.interceptors.call import Call


class OpenStreams:
    """The streams being served. `close` ends them with UNAVAILABLE, DRAINING, so that their callers go elsewhere."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Know the stream while it lasts."""
        task = asyncio.current_task()
        if task is None or not call.streaming:
            yield
            return
        if self._closed:
            raise _going_down()
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._closed:
                raise
            task.uncancel()
            raise _going_down() from None
        finally:
            self._tasks.discard(task)

    def close(self) -> None:
        """End every open stream."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()


def _going_down() -> Unavailable:
    return Unavailable("the server is going down; call again", reason="DRAINING")
