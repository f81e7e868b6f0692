"""What each queue wants workers for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from devteam_router.leases import Leases
from devteam_router.lines import Lines
from devteam_router.routing import Routing


class Demand:
    """Counts the slots that a queue wants: for what runs out of it, and for what waits in it and could start.

    More workers can do nothing for what an operator paused, nor for what waits until a provider or a limit lets it
    start: that counts from then on. Runs that nobody serves so far do count: somebody has to come who does.
    """

    def __init__(self, leases: Leases, lines: Lines, routing: Routing) -> None:
        self._leases = leases
        self._lines = lines
        self._routing = routing
        self._watchers: dict[asyncio.Event, None] = {}
        leases.on_turn = lines.on_turn = self.turned

    def of(self, queue: str) -> int:
        """Slots that are wanted now; 0 for a queue that nobody knows."""
        waiting = 0 if self._routing.paused(queue) else self._lines.startable_in(queue)
        return self._leases.running_in(queue) + waiting

    def turned(self) -> None:
        """Some queue may want the first slot by now, or none any longer."""
        for news in self._watchers:
            news.set()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """While the block runs, the event is set whenever a queue may want the first slot, or none any longer."""
        news = asyncio.Event()
        self._watchers[news] = None
        try:
            yield news
        finally:
            del self._watchers[news]
