"""Ends calls that would outlive a server that is stopping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from devteam.mesh.errors import Unavailable
from devteam.mesh.interceptors.call import Call, in_words


class OpenCalls:
    """The calls being served. `end` ends them with UNAVAILABLE, DRAINING, so that their callers go elsewhere."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._closed = False
        self._quiet = asyncio.Event()

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Know the call while it lasts. Raises Unavailable once `end` was called."""
        if self._closed:
            raise _going_down()
        self._calls.add(call)
        try:
            with in_words(call):
                yield
        finally:
            self._calls.discard(call)
            self._look()

    async def end(self, grace: float) -> None:
        """End every stream at once, and every other call that still runs after `grace` seconds; take no more calls.

        A stream whose client does not read is left as it is: what is being sent cannot be taken back.
        """
        self._closed = True
        for call in list(self._calls):
            if call.streaming:
                call.end(_going_down())
        self._look()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._quiet.wait()
        for call in list(self._calls):
            call.end(_going_down())

    def _look(self) -> None:
        """Nothing runs but streams that are being written to: those end by themselves, or never."""
        if self._closed and all(call.writing for call in self._calls):
            self._quiet.set()


def _going_down() -> Unavailable:
    return Unavailable("the server is going down; call again", reason="DRAINING")
