"""Who is alive among Routers, as workers and watchers are told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from devteam_registry.routers import ROUTER_GRACE
from devteam_registry.settings import Settings

from devteam.v1 import registry_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.rpc.registry.mesh import Mesh, running, violations

CONFIGURED = "127.0.0.1:7402"


class RouterWatch:
    """A watch, and the lists of Routers that it is told."""

    def __init__(self, mesh: Mesh, router_id: str = "", address: str = "") -> None:
        self._call = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(router_id=router_id, address=address))

    async def routers(self) -> list[tuple[str, str]]:
        """The next list: ids and addresses."""
        async with asyncio.timeout(60):
            while True:
                event = await self._call.read()
                assert isinstance(event, pb.WatchWorkersResponse), "the watch ended"
                if event.WhichOneof("event") == "routers":
                    return [(router.router_id, router.address) for router in event.routers.routers]

    async def routers_in_time(self, mesh: Mesh) -> list[tuple[str, str]]:
        """The next list, while seconds pass: it comes only then, and not before the server has noticed a hang-up."""
        coming = asyncio.create_task(self.routers())
        while not coming.done():
            await mesh.pass_time(1)
            await asyncio.wait({coming}, timeout=0.01)
        return coming.result()

    def hang_up(self) -> None:
        self._call.cancel()


@asynccontextmanager
async def observed(mesh: Mesh) -> AsyncIterator[RouterWatch]:
    """A watcher who is no Router, and has been told that there is none."""
    watch = RouterWatch(mesh)
    assert await watch.routers() == []
    yield watch
    watch.hang_up()


async def told_to_workers(mesh: Mesh) -> list[str]:
    """What a registration and a beat answer; they agree."""
    registered = await mesh.register()
    beaten = await mesh.beat(registered.session_token)
    assert registered.router_addresses == beaten.router_addresses
    return list(beaten.router_addresses)


async def test_routers_come_and_go(mesh: Mesh) -> None:
    """Watchers and workers are told; who is set is told first, whether it is alive or not."""
    async with observed(mesh) as observer:
        two = RouterWatch(mesh, "router-2", "http://r2:7402")
        assert await two.routers() == await observer.routers() == [("router-2", "http://r2:7402")]
        one = RouterWatch(mesh, "router-1", "r1:7402")
        both = [("router-1", "r1:7402"), ("router-2", "http://r2:7402")]
        assert await one.routers() == await two.routers() == await observer.routers() == both
        assert await told_to_workers(mesh) == [CONFIGURED, "r1:7402", "http://r2:7402"]
        two.hang_up()
        assert await observer.routers_in_time(mesh) == await one.routers() == [("router-1", "r1:7402")]
        assert await told_to_workers(mesh) == [CONFIGURED, "r1:7402"]
        one.hang_up()


async def test_a_router_that_is_set_is_told_once(mesh: Mesh) -> None:
    """However it writes its own address."""
    watch = RouterWatch(mesh, "router-1", f"http://{CONFIGURED}")
    assert await watch.routers() == [("router-1", f"http://{CONFIGURED}")]
    assert await told_to_workers(mesh) == [CONFIGURED]
    watch.hang_up()


async def test_without_routers_workers_stay_where_they_registered(clock: FakeClock) -> None:
    """A Router that does not say where it is reached changes nothing about that."""
    async with running(Settings(database_url="memory"), clock) as mesh:
        watch = RouterWatch(mesh, "router-1")
        assert await watch.routers() == []
        assert await told_to_workers(mesh) == []
        watch.hang_up()


@pytest.mark.parametrize("held_by_another", [True, False])
async def test_a_worker_whose_router_is_gone_is_suspect_unless_another_holds_it(
    mesh: Mesh, *, held_by_another: bool
) -> None:
    """Though the one that is gone never said that it lost the stream."""
    token = (await mesh.register()).session_token
    watch = RouterWatch(mesh, "router-1", "r1:7402")
    await watch.routers()
    routers = ["router-1", "router-2"] if held_by_another else ["router-1"]
    other = RouterWatch(mesh, "router-2", "r2:7402")
    await other.routers()
    for router_id in routers:
        link = pb.WorkerLink(worker_id="w1", instance_id="i1", connected=True)
        await mesh.stub.ReportLinks(pb.ReportLinksRequest(router_id=router_id, links=[link]))
    watch.hang_up()
    assert await other.routers_in_time(mesh) == [("router-2", "r2:7402")]
    await mesh.pass_time(int(ROUTER_GRACE))
    state = (await mesh.beat(token)).state
    assert state == (pb.WORKER_STATE_HEALTHY if held_by_another else pb.WORKER_STATE_SUSPECT)
    other.hang_up()


@pytest.mark.parametrize(
    ("router_id", "address", "expected"),
    [
        ("a b", "", {("router_id", "ID_FORMAT")}),
        ("", "r1:7402", {("router_id", "FIELD_REQUIRED")}),
        ("router-1", "r1", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "r1:", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "dns:///r1:7402", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "http://", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "http://[::1", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "https://r1:70000", {("address", "ADDRESS_FORMAT")}),
        ("router-1", "r" * 251 + ":7402", {("address", "TEXT_TOO_LARGE")}),
    ],
)
async def test_a_watching_router_is_checked(
    mesh: Mesh, router_id: str, address: str, expected: set[tuple[str, str]]
) -> None:
    """Who it is, and where it is reached."""
    watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(router_id=router_id, address=address))
    assert await violations(anext(aiter(watch))) == expected
