"""The way of what the owner's code says to the event loop that passes it on."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from contextlib import suppress

from devteam_worker.providers.base import Progress, Text

Saying = Text | Progress

# Whoever has said more than that waits until it was taken.
_MOST_CHARACTERS = 16 * 1024


class Mouth:
    """Takes sayings from any thread, and hands them out in the event loop that it was made in.

    What waits goes together, and nobody waits for an answer: a way there and back for each token costs more than all
    else that is done to it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: list[Saying] = []
        self._characters = 0
        self._taken = _unsettled()
        self._news = asyncio.Event()
        self._shut = False

    def say(self, saying: Saying) -> "Future[None]":
        """Say this. Done once there is room for more. Of a mouth that is shut nothing is heard."""
        with self._lock:
            if self._shut:
                return _AT_ONCE
            self._waiting.append(saying)
            self._characters += len(saying.text) + 1
            first = len(self._waiting) == 1
            room = self._taken if self._characters > _MOST_CHARACTERS else _AT_ONCE
        if first:
            self._wake()
        return room

    def shut(self) -> None:
        """Say no more, from any thread. What was said before can still be heard; nobody waits for room any longer."""
        with self._lock:
            if self._shut:
                return
            self._shut = True
            self._taken.set_result(None)
        self._wake()

    async def sayings(self) -> AsyncGenerator[Saying, None]:
        """Everything that is said, until it is shut."""
        over = False
        while not over:
            await self._news.wait()
            self._news.clear()
            taken, over = self._take()
            for saying in taken:
                yield saying

    def _wake(self) -> None:
        # A loop that was closed meanwhile has nobody left who listens.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._news.set)

    def _take(self) -> tuple[Sequence[Saying], bool]:
        with self._lock:
            taken, self._waiting, self._characters = self._waiting, [], 0
            if not self._shut:
                self._taken.set_result(None)
                self._taken = _unsettled()
            return taken, self._shut


def _unsettled() -> "Future[None]":
    future: Future[None] = Future()
    # Several may wait for it: none of them can cancel it.
    future.set_running_or_notify_cancel()
    return future


_AT_ONCE = _unsettled()
_AT_ONCE.set_result(None)
