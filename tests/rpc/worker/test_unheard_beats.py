"""A beat that is not heard is followed by others, long before the worker would be taken for unhealthy."""

import asyncio
from collections.abc import Callable

import grpc
from devteam_worker.inventory import Inventory
from devteam_worker.registration import Registration

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock, Timer
from devteam.mesh.errors import Internal
from devteam.mesh.tasks import background
from tests.fakes.agent_script import PATIENCE
from tests.fakes.mesh_server import ScriptedMesh
from tests.rpc.worker.rig import DECLARATION, ScriptedMachine


class ImpatientClock(SystemClock):
    """Every timer goes off at once, and is noted with what it was set to."""

    def __init__(self) -> None:
        self.set_to: list[float] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.set_to.append(seconds)
        return super().call_later(0.01, callback)


def registered_at(channel: grpc.aio.Channel, clock: Clock) -> Registration:
    return Registration(channel, DECLARATION, lambda: 0, Inventory(ScriptedMachine(()).look), lambda _: None, clock)


async def paces(mesh: ScriptedMesh, beats: int) -> list[float]:
    """What a worker waited for, in seconds, until so many of its beats had come."""
    clock = ImpatientClock()
    async with open_channel(mesh.url) as channel:
        registration = registered_at(channel, clock)
        await registration.register()
        async with background(registration.beat), asyncio.timeout(PATIENCE):
            for _ in range(beats):
                await mesh.registry.beaten()
    return clock.set_to


async def test_the_next_one_comes_soon_and_not_ever_sooner(mesh: ScriptedMesh) -> None:
    """Of 30 s: 3 s after the first at most, and 15 s after any; once one is heard the pace is as before."""
    mesh.registry.refusals["Heartbeat"] += [Internal("oh")] * 6
    turn, *soon, after = (await paces(mesh, 8))[:8]
    assert (turn, after) == (30.0, 30.0)
    assert [longest / 2 <= pause <= longest for pause, longest in zip(soon, (3, 6, 12, 15, 15, 15), strict=True)] == [
        True
    ] * 6


async def test_a_registry_that_says_nothing_is_given_up_in_time_for_others(mesh: ScriptedMesh) -> None:
    """Before the worker has been silent for two turns, which is when it becomes unhealthy."""
    async with open_channel(mesh.url) as channel:
        registration = registered_at(channel, ImpatientClock())
        for interval, patience in ((30.0, 7.5), (60.0, 10.0), (10.0, 5.0), (2.0, 2.0)):
            registration._interval = interval
            assert registration._patience() == patience
