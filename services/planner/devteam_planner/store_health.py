"""Tells whether the store has room, so that nobody sends new work to a Planner that could only refuse it."""

from typing import Protocol

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable

_log = structlog.get_logger()

_LOOK_EVERY = 1.0


class Room(Protocol):
    """The part of a database that knows of its disk."""

    @property
    def full(self) -> bool:
        """A write found no room on the disk, and no `probe` has found any since."""

    async def probe(self) -> None:
        """Write something and take it back. Raises Unavailable when that cannot be done."""


class Announce(Protocol):
    """Says whether this Planner takes new work."""

    async def __call__(self, *, serving: bool) -> None:
        """Say it to whoever asks for health."""


class StoreHealth:
    """Watches one database, and announces when its disk is full and when there is room again."""

    def __init__(self, database: Room, announce: Announce, clock: Clock) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock

    async def run(self) -> None:
        """Look every second, and write only while the disk is full. Never returns."""
        well = True
        while True:
            await self._clock.sleep(_LOOK_EVERY)
            now_well = not self._database.full or await self._has_room()
            if now_well != well:
                well = now_well
                _log.warning("the disk of the database has room again" if well else "the disk of the database is full")
                await self._announce(serving=well)

    async def _has_room(self) -> bool:
        try:
            await self._database.probe()
        except Unavailable:
            return False
        return True
