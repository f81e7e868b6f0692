"""Knows whether everything that was so when somebody came has been heard of."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError

# Seconds between the beginnings of two questions at least.
_INTERVAL = 0.05
# Who wait at most; whoever comes then is judged by what is known: it takes strangers in crowds to get there.
_MOST = 256


class CatchingUp:
    """Makes whoever comes wait until all is `heard` here that was so at its source by then.

    `asked` asks the source for its present revision. All who wait share a question that begins after they came, and one
    is under way at a time, so that crowds cost the source no more than 20 a second. Without an answer, or without what
    it announced, nobody waits longer than `patience`, in seconds.
    """

    def __init__(self, asked: Callable[[], Awaitable[int]], clock: Clock, patience: float = 3.0) -> None:
        self._asked = asked
        self._clock = clock
        self._patience = patience
        self._here = 0
        self._there = 0
        self._moved = asyncio.Event()
        self._turn = asyncio.Lock()
        self._begun = self._answered = 0
        self._began_at = float("-inf")
        self._waiting = 0

    def heard(self, revision: int) -> None:
        """All is known up to here."""
        self._here = revision
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait(self) -> None:
        """Return once nothing is missing that was so when this was called, or once that cannot be hoped for."""
        if self._waiting >= _MOST:
            return
        self._waiting += 1
        try:
            with suppress(TimeoutError, DevTeamError):
                async with asyncio.timeout(self._patience):
                    await self._reach(await self._revision())
        finally:
            self._waiting -= 1

    async def _revision(self) -> int:
        own = self._begun + 1
        async with self._turn:
            if self._answered < own:
                await self._ask()
            return self._there

    async def _ask(self) -> None:
        if (rest := self._began_at + _INTERVAL - self._clock.monotonic()) > 0:
            await self._clock.sleep(rest)
        self._begun += 1
        self._began_at = self._clock.monotonic()
        self._there = await self._asked()
        self._answered = self._begun

    async def _reach(self, revision: int) -> None:
        while self._here < revision:
            await self._moved.wait()
