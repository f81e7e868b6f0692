"""Watchers that leave."""

import asyncio

import pytest
from devteam_planner.departures import Departures

from devteam.mesh.errors import NotFound, Unavailable
from devteam.mesh.tasks import background
from tests.fakes.hasty_clock import HastyClock


class Canceller:
    """Notes what it is asked to cancel; `refusals` come first."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()

    async def cancel(self, plan_id: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.cancelled.put_nowait(plan_id)

    async def next(self) -> str:
        async with asyncio.timeout(60):
            return await self.cancelled.get()


def leave(departures: Departures, plan_id: str) -> None:
    with pytest.raises(asyncio.CancelledError), departures.noticed(plan_id):
        raise asyncio.CancelledError


async def test_a_cancel_that_is_unavailable_is_tried_again() -> None:
    """The handler that noticed is long gone by then."""
    canceller = Canceller(Unavailable("the disk is full"), Unavailable("still"))
    departures = Departures(canceller.cancel, HastyClock())
    leave(departures, "p-1")
    async with background(departures.run):
        assert await canceller.next() == "p-1"


async def test_a_plan_that_cannot_be_cancelled_hinders_no_other() -> None:
    canceller = Canceller(NotFound("plan", "p-1"))
    departures = Departures(canceller.cancel, HastyClock())
    async with background(departures.run):
        leave(departures, "p-1")
        leave(departures, "p-2")
        assert await canceller.next() == "p-2"


async def test_a_watch_that_we_broke_off_ourselves_is_no_departure() -> None:
    """Its client was told, and comes back; so it is when this process goes down."""
    canceller = Canceller()
    departures = Departures(canceller.cancel, HastyClock())
    with pytest.raises(Unavailable), departures.noticed("p-1"):
        raise Unavailable("the store is away")
    leave(departures, "p-2")
    await departures.close()
    leave(departures, "p-3")
    async with background(departures.run):
        assert await canceller.next() == "p-2"
    assert canceller.cancelled.empty()
