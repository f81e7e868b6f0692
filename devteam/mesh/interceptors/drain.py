"""Ends calls that would outlive a server that is stopping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from devteam.mesh.errors import Unavailable
from devteam.mesh.interceptors.call import Call


class OpenCalls:
    """The calls being served. `end` ends them with UNAVAILABLE, DRAINING, so that their callers go elsewhere."""

    def __init__(self) -> None:
        self._calls: dict[asyncio.Task[object], Call] = {}
        self._ended: set[asyncio.Task[object]] = set()
        self._closed = False
        self._quiet = asyncio.Event()

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Know the call while it lasts. Raises Unavailable once `end` was called."""
        task = asyncio.current_task()
        assert task is not None
        if self._closed:
            raise _going_down()
        self._calls[task] = call
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise _going_down() from None
        finally:
            self._calls.pop(task, None)
            self._ended.discard(task)
            self._look()

    async def end(self, grace: float) -> None:
        """End every stream at once, and every other call that still runs after `grace` seconds; take no more calls.

        A stream whose client does not read is left as it is: what is being sent cannot be taken back.
        """
        self._closed = True
        for task, call in list(self._calls.items()):
            if call.streaming:
                self._interrupt(task, call)
        self._look()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._quiet.wait()
        for task, call in list(self._calls.items()):
            self._interrupt(task, call)

    def _interrupt(self, task: "asyncio.Task[object]", call: Call) -> None:
        if call.writing:
            call.ending = _going_down()
        elif task not in self._ended:
            self._ended.add(task)
            task.cancel()

    def _look(self) -> None:
        """Nothing runs but streams that are being written to: those end by themselves, or never."""
        if self._closed and all(call.writing for call in self._calls.values()):
            self._quiet.set()


def _going_down() -> Unavailable:
    return Unavailable("the server is going down; call again", reason="DRAINING")
