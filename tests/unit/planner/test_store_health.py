"""Whether the store has room, as it is announced."""

import asyncio

from devteam_planner.store_health import StoreHealth

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock


class Disk:
    """A database whose disk is full, or not."""

    def __init__(self) -> None:
        self.full = False
        self.room = True
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if not self.room:
            raise Unavailable("the disk is full", reason="STORAGE_UNAVAILABLE")
        self.full = False


async def test_a_full_disk_is_announced_once_and_so_is_its_end(clock: FakeClock) -> None:
    """While there is room nothing is written to find that out."""
    disk, told = Disk(), list[bool]()

    async def announce(*, serving: bool) -> None:
        told.append(serving)

    async def second() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        clock.advance(1.0)
        for _ in range(5):
            await asyncio.sleep(0)

    async with background(StoreHealth(disk, announce, clock).run):
        await second()
        assert (told, disk.probes) == ([], 0)
        disk.full, disk.room = True, False
        for _ in range(3):
            await second()
        assert told == [False]
        disk.room = True
        for _ in range(3):
            await second()
        assert told == [False, True]
        assert disk.probes == 4
