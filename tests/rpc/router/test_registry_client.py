"""How the Router hears of the fleet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from devteam_router.app import mounted
from devteam_router.attendance import Attendance
from devteam_router.domain import WorkerInstance
from devteam_router.graces import Graces
from devteam_router.leases import Leases
from devteam_router.ports import FleetEvent, FleetSnapshot, WorkerChanged, WorkerRemoved
from devteam_router.registry_client import RegistryClient, follow, tell
from devteam_router.routing import Policy
from devteam_router.service import RouterCore
from devteam_router.settings import Settings

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import ResourceExhausted, Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background, cancelled
from devteam.v1 import router_pb2, router_pb2_grpc, run_pb2
from tests.fakes.ids import CountingIds
from tests.fakes.registry_server import ScriptedRegistryServicer, changed, registry_serving, removed, snapshot
from tests.rpc.router.mesh import heard_of


class Listener:
    """A Router that takes in what it hears; `knows` waits until it has heard of exactly these workers."""

    def __init__(self) -> None:
        self.core = RouterCore(Policy(), Graces(), SystemClock(), Random(7), "router-1")
        self.events: list[FleetEvent] = []
        self._news = asyncio.Event()

    def hear(self, event: FleetEvent) -> None:
        self.events.append(event)
        self.core.hear(event)
        self._news.set()

    async def knows(self, *worker_ids: str) -> None:
        await self.until(lambda: {worker.id for worker in self.core.fleet} == set(worker_ids))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def test_a_watch_is_a_snapshot_in_parts_then_changes() -> None:
    servicer = ScriptedRegistryServicer(snapshot("w1", complete=False), snapshot("w2"), changed("w3"), removed("w1"))
    async with registry_serving(servicer) as server, open_channel(f"http://127.0.0.1:{server.port}") as channel:
        watch = RegistryClient(channel, "router-1").watch()
        events = [await asyncio.wait_for(anext(watch), 60) for _ in range(4)]
        await watch.aclose()
    match events:
        case [
            FleetSnapshot(one, False, True),
            FleetSnapshot(other, True, False),
            WorkerChanged(new),
            WorkerRemoved(gone),
        ]:
            named = [worker.id for worker in (*one, *other, new)]
            assert (named, gone) == (["w1", "w2", "w3"], "w1")
        case _:
            pytest.fail(f"heard {events}")


async def test_a_watch_that_breaks_off_says_why() -> None:
    servicer = ScriptedRegistryServicer(snapshot("w1"))
    servicer.tell(ResourceExhausted("too slow", reason="SLOW_CONSUMER"))
    async with registry_serving(servicer) as server, open_channel(f"http://127.0.0.1:{server.port}") as channel:
        watch = RegistryClient(channel, "router-1").watch()
        await asyncio.wait_for(anext(watch), 60)
        with pytest.raises(ResourceExhausted) as caught:
            await asyncio.wait_for(anext(watch), 60)
    assert caught.value.reason == "SLOW_CONSUMER"


async def test_the_fleet_is_followed_through_changes_breaks_and_restarts() -> None:
    listener = Listener()
    servicer = ScriptedRegistryServicer(snapshot("w1", complete=False), snapshot("w2"))
    async with registry_serving(servicer) as server:
        port = server.port
        channel = open_channel(f"http://127.0.0.1:{port}")
        following = asyncio.create_task(follow(RegistryClient(channel, "router-1"), listener.hear, SystemClock()))
        await listener.knows("w1", "w2")
        servicer.tell(changed("w3"))
        servicer.tell(removed("w1"))
        await listener.knows("w2", "w3")

    # The Registry is away: what it said last holds.
    assert {worker.id for worker in listener.core.fleet} == {"w2", "w3"}

    # It comes back, and breaks off in the middle of its list: that drops nobody yet, and keeps nobody later.
    servicer = ScriptedRegistryServicer(snapshot("w4", complete=False))
    async with registry_serving(servicer, port):
        await listener.knows("w2", "w3", "w4")
        servicer.script = [snapshot("w2", "w5")]
        servicer.tell(ResourceExhausted("too slow", reason="SLOW_CONSUMER"))
        await listener.knows("w2", "w5")
        await cancelled(following)
        await channel.close()
    assert servicer.watches >= 2


async def test_a_mounted_router_serves_the_fleet_that_its_registry_tells_of() -> None:
    registry = ScriptedRegistryServicer(snapshot("w1"))
    async with registry_serving(registry) as there:
        settings = Settings(registry_address=f"http://127.0.0.1:{there.port}")
        clock, ids = SystemClock(), CountingIds()
        server = MeshServer(Listen(port=0, stop_grace=0.1), ids)
        async with mounted(server, settings, clock, ids) as job:
            port = await server.start()
            async with background(job), open_channel(f"http://127.0.0.1:{port}") as channel:
                stub = router_pb2_grpc.RouterServiceStub(channel)
                await asyncio.wait_for(heard_of(stub, "default"), 60)
                queue = (await stub.GetQueue(router_pb2.GetQueueRequest(name="default"))).queue
            await server.stop()
    assert queue == router_pb2.Queue(name="default", workers=1, strategy=run_pb2.STRATEGY_LEAST_LOADED)


@asynccontextmanager
async def telling(servicer: ScriptedRegistryServicer) -> AsyncIterator[Attendance]:
    """An attendance of which a Registry is kept told."""
    attendance = Attendance(Leases(), SystemClock(), grace=60.0)
    async with (
        registry_serving(servicer) as server,
        open_channel(f"http://127.0.0.1:{server.port}") as channel,
        background(lambda: tell(RegistryClient(channel, "router-1"), attendance, SystemClock())),
    ):
        yield attendance


async def reported(servicer: ScriptedRegistryServicer) -> tuple[dict[str, bool], bool]:
    """The next report that the Registry hears: who is connected, and whether that is all."""
    async with asyncio.timeout(60):
        request = await servicer.reports.get()
    assert request.router_id == "router-1"
    return {link.worker_id: link.connected for link in request.links}, request.complete


async def test_streams_are_reported_one_report_at_a_time() -> None:
    servicer = ScriptedRegistryServicer()
    servicer.report_gate.clear()
    async with telling(servicer) as attendance:
        attendance.came(WorkerInstance("w1", "i1"))
        assert await reported(servicer) == ({"w1": True}, False)
        for number in range(2, 5):
            attendance.came(WorkerInstance(f"w{number}", "i1"))
        attendance.went(WorkerInstance("w1", "i1"))
        assert servicer.reports.empty()
        servicer.report_gate.set()
        assert await reported(servicer) == ({"w2": True, "w3": True, "w4": True, "w1": False}, False)


async def test_a_report_that_the_registry_did_not_take_is_repeated_as_things_are_by_then() -> None:
    servicer = ScriptedRegistryServicer()
    servicer.report_gate.clear()
    servicer.report_errors.append(Unavailable("the Registry is away"))
    async with telling(servicer) as attendance:
        attendance.came(WorkerInstance("w1", "i1"))
        assert await reported(servicer) == ({"w1": True}, False)
        attendance.went(WorkerInstance("w1", "i1"))
        servicer.report_gate.set()
        assert await reported(servicer) == ({"w1": False}, False)


async def test_every_new_snapshot_is_answered_with_everything() -> None:
    servicer = ScriptedRegistryServicer(snapshot("w1"))
    core = RouterCore(Policy(), Graces(), SystemClock(), Random(7), "router-1")
    async with registry_serving(servicer) as server, open_channel(f"http://127.0.0.1:{server.port}") as channel:
        registry = RegistryClient(channel, "router-1")
        async with background(
            lambda: follow(registry, core.hear, SystemClock()), lambda: tell(registry, core.attendance, SystemClock())
        ):
            assert await reported(servicer) == ({}, True)
            core.workers.attach(WorkerInstance("w1", "i1"), ())
            assert await reported(servicer) == ({"w1": True}, False)
            servicer.tell(ResourceExhausted("too slow", reason="SLOW_CONSUMER"))
            assert await reported(servicer) == ({"w1": True}, True)
