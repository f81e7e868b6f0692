"""A worker's link, registration and runs, as its composition root puts them together, with an agent of the test's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration, Queue
from devteam_worker.inventory import Inventory
from devteam_worker.link import ATTACH_TIMEOUT, Link, Switchboard
from devteam_worker.links import ADRIFT_AFTER, Links
from devteam_worker.providers.base import LocalModel
from devteam_worker.registration import Registration, Wishes
from devteam_worker.runs import Runs

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock, Timer
from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from devteam.v1 import worker_pb2
from tests.fakes.agent_script import PATIENCE, Play, ScriptedAgent
from tests.fakes.clock import FakeClock
from tests.fakes.mesh_server import Line, ScriptedMesh

CUT = Unavailable("the line broke", reason="TEST")
DECLARATION = Declaration("w1", "i-1", (Queue("default", 2), Queue("gpu", 1, ("opus",))), 2)


class HurriedClock(SystemClock):
    """Nobody sleeps for longer than a moment. Timers of a minute and more go off when a test lets that time pass."""

    def __init__(self) -> None:
        self._long = FakeClock()
        # How long they meant to sleep.
        self.naps: list[float] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        if seconds >= 60:
            return self._long.call_later(seconds, callback)
        return super().call_later(seconds, callback)

    def advance(self, seconds: float) -> None:
        """Call back those who set a long timer and whose time has come."""
        self._long.advance(seconds)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))


class ScriptedMachine:
    """Has the models that a test wants it to have, once `gate` is open."""

    def __init__(self, models: Sequence[LocalModel]) -> None:
        self.models = tuple(models)
        self.gate = asyncio.Event()
        self.gate.set()

    async def look(self) -> tuple[LocalModel, ...]:
        await self.gate.wait()
        return self.models


@dataclass(frozen=True, slots=True)
class Rig:
    """A worker at work."""

    mesh: ScriptedMesh
    agent: ScriptedAgent
    desk: Desk
    runs: Runs
    registration: Registration
    machine: ScriptedMachine
    inventory: Inventory
    clock: HurriedClock
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    # What it was told of drains, in seconds.
    deadlines: list[float | None] = field(default_factory=list)

    async def begin(self, line: Line, task_id: str = "t1", **more: Any) -> Play:
        """Give it a run, and see it accepted."""
        line.assign(task_id, **more)
        play = await self.agent.started()
        accepted = (await beside_slots(line)).accepted
        assert (accepted.task_id, accepted.attempt) == (task_id, more.get("attempt", 1))
        return play

    async def has_drained(self) -> None:
        """Wait until the worker was told to leave."""
        async with asyncio.timeout(PATIENCE):
            await self.drained.wait()


@asynccontextmanager
async def working(
    mesh: ScriptedMesh,
    *,
    api_key: str = "",
    attach_timeout: float = ATTACH_TIMEOUT,
    adrift_after: float = ADRIFT_AFTER,
    models: Sequence[LocalModel] = (),
) -> AsyncIterator[Rig]:
    """Registered, and dialling."""
    agent, machine, clock = ScriptedAgent(), ScriptedMachine(models), HurriedClock()
    desk = Desk({queue.name: queue for queue in DECLARATION.queues}, DECLARATION.concurrency)
    drained = asyncio.Event()
    deadlines: list[float | None] = []

    def on_drain(deadline: float | None) -> None:
        deadlines.append(deadline)
        drained.set()

    def on_wishes(wishes: Wishes) -> None:
        desk.concurrency = wishes.concurrency or DECLARATION.concurrency
        links.follow(registration.router_addresses or (mesh.url,))
        if wishes.draining:
            on_drain(wishes.drain_deadline)

    async with (
        open_channel(mesh.url, api_key=api_key) as channel,
        Runs(agent, lambda router: links.wake(router), clock, window_bytes=1024 * 1024) as runs,  # noqa: PLW0108 - bound late
    ):
        inventory = Inventory(machine.look)
        await inventory.look()
        registration = Registration(channel, DECLARATION, runs.active, inventory, on_wishes, clock)

        def dial(router: str) -> Link:
            return Link(router, board)

        links = Links(runs, dial, clock, adrift_after=adrift_after)
        board = Switchboard(
            links,
            DECLARATION,
            registration,
            desk,
            runs,
            on_drain,
            clock,
            api_key=api_key,
            attach_timeout=attach_timeout,
        )
        await registration.register()
        links.follow(registration.router_addresses or (mesh.url,))
        async with background(registration.beat, links.run, partial(inventory.run, registration.beat_now)):
            yield Rig(mesh, agent, desk, runs, registration, machine, inventory, clock, drained, deadlines)


async def beside_slots(line: Line) -> worker_pb2.ConnectRequest:
    """What the worker says next that is not about slots which others take."""
    while (request := await line.hears()).WhichOneof("item") == "occupied":
        pass
    return request


def texts(request: worker_pb2.ConnectRequest) -> tuple[str, int, int, list[str]]:
    """A batch of tokens, in short: of which attempt, from which seq, and the words."""
    batch = request.tokens
    return batch.task_id, batch.attempt, batch.first_seq, [token.text for token in batch.tokens]


async def words(line: Line, count: int) -> tuple[int, list[str]]:
    """As many words as the worker says next in one attempt, with the seq of the first; however they are batched."""
    _, _, first_seq, heard = texts(await line.hears())
    while len(heard) < count:
        _, _, seq, more = texts(await line.hears())
        assert seq == first_seq + len(heard)
        heard += more
    return first_seq, heard


async def cut(rig: Rig, line: Line, error: Exception | None = CUT, **policy: float) -> Line:
    """Break the line; the worker's next one, let in."""
    line.cut(error)
    return await rig.mesh.router.attached(**policy)
