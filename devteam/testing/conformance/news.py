"""Waiting for something to become so."""

import asyncio
from collections.abc import Callable


class News:
    """Whoever waits looks again whenever something was told."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def until(self, ready: Callable[[], bool], within: float) -> bool:
        """Wait until it is so, for so many seconds; whether it is."""
        try:
            async with asyncio.timeout(within):
                while not ready():
                    await self._told.wait()
        except TimeoutError:
            return False
        return True
