"""The routing that holds now: changed by one operator at a time, and stored before it takes effect."""

import asyncio

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam_registry.changes import Changes
from devteam_registry.domain import Change
from devteam_registry.journal import in_time
from devteam_registry.ports import RoutingStore
from devteam_registry.routing import PolicyChange, Routing, RoutingChange

_log = structlog.get_logger()

# Seconds between two tries to put right what a store may hold.
_PAUSE = 1.0


class Steering:
    """Owner of the routing. `open` it before use; `run` has to run beside it."""

    def __init__(self, store: RoutingStore, clock: Clock, changes: Changes[Change]) -> None:
        self._store = store
        self._clock = clock
        self._changes = changes
        self._routing = Routing()
        self._turn = asyncio.Lock()
        # The store may hold something else than memory does.
        self._behind = asyncio.Event()

    @property
    def routing(self) -> Routing:
        """What holds now."""
        return self._routing

    async def open(self) -> None:
        """Take up what the store remembers. Raises Unavailable."""
        self._routing = await self._store.load()

    async def change(self, change: RoutingChange | PolicyChange) -> Routing:
        """Let a change take effect once it is stored. Raises InvalidInput, or Unavailable: then nothing changed."""
        async with self._turn:
            wanted = change.applied_to(self._routing)
            await self._write(wanted)
            if wanted != self._routing:
                self._routing = wanted
                self._changes.publish(wanted)
                _log.info("routing changed", fields=sorted(change.fields))
            return wanted

    async def flush(self) -> None:
        """Put memory's truth into a store that may hold something else. Raises Unavailable."""
        async with self._turn:
            if self._behind.is_set():
                await self._write(self._routing)

    async def run(self) -> None:
        """Flush after every write that may have happened or not, for ever."""
        while True:
            await self._behind.wait()
            try:
                await self.flush()
            except Unavailable as error:
                _log.warning("routing not stored", error=error.message)
            await self._clock.sleep(_PAUSE)

    async def _write(self, routing: Routing) -> None:
        # Whoever is cut off here cannot tell what the store holds.
        self._behind.set()
        async with in_time():
            await self._store.save(routing)
        self._behind.clear()
