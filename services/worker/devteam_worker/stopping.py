"""A wish to stop, from whichever thread it comes."""

import asyncio
import threading
from contextlib import suppress


class Stopping:
    """Set once by anyone, waited for in an event loop."""

    def __init__(self) -> None:
        self._wished = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: asyncio.Event | None = None

    def stop(self) -> None:
        """Wish it."""
        self._wished.set()
        if self._loop is not None and self._heard is not None:
            # A loop that was closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._heard.set)

    async def wait(self) -> None:
        """Return once it is wished."""
        self._loop, self._heard = asyncio.get_running_loop(), asyncio.Event()
        if not self._wished.is_set():
            await self._heard.wait()
