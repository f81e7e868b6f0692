"""How fast the messages of one stream are read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from devteam.mesh.access.buckets import Allowance, Bucket
from devteam.mesh.clock import Clock
from devteam.mesh.interceptors.call import Call


@dataclass(frozen=True, slots=True)
class Pace:
    """Reads no more than so many messages and bytes a second from each stream of a caller that has limits.

    Nobody is cut off for being fast: a worker that lost its line has megabytes to say at once, and would begin anew for
    ever. What is not read yet fills the connection's window, and then the sender waits: an honest one packs more into
    each of its messages meanwhile.
    """

    clock: Clock
    messages: Allowance
    size: Allowance

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Pace the requests of a call."""
        if call.subject:
            call.pace = _Stream(self).wait
        yield


class _Stream:
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._messages = Bucket(pace.clock)
        self._size = Bucket(pace.clock)

    async def wait(self, size: int) -> None:
        owed = max(self._messages.owe(1, self._pace.messages), self._size.owe(size, self._pace.size))
        if owed:
            await self._pace.clock.sleep(owed)
