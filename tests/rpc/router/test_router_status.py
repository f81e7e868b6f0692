"""What a Router says of itself: whether the Registry speaks to it, and where the other Routers are."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from devteam_router.app import mounted
from devteam_router.settings import Settings

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.v1 import registry_pb2, router_pb2, status_pb2
from devteam.v1.router_pb2_grpc import RouterServiceStub
from tests.fakes.ids import CountingIds
from tests.fakes.registry_server import ScriptedRegistryServicer, registry_serving, snapshot

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.router_pb2_grpc import RouterServiceAsyncStub

OK, AWAY = status_pb2.DEPENDENCY_STATE_OK, status_pb2.DEPENDENCY_STATE_AWAY


class Asked:
    """A Router that runs, asked how it stands until it stands as expected."""

    def __init__(self, stub: "RouterServiceAsyncStub") -> None:
        self._stub = stub

    async def stands(self, expected: Mapping[str, int]) -> status_pb2.ServiceStatus:
        async with asyncio.timeout(60):
            while True:
                said = await self.says()
                if {one.address: one.state for one in said.dependencies} == expected:
                    return said
                await asyncio.sleep(0.05)

    async def says(self) -> status_pb2.ServiceStatus:
        answer = await self._stub.GetRouterStatus(router_pb2.GetRouterStatusRequest())
        return answer.status


@asynccontextmanager
async def router(registry_address: str) -> AsyncIterator[Asked]:
    """A whole Router, on a port of its own."""
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    settings = Settings(registry_address=registry_address)
    async with mounted(server, settings, SystemClock(), CountingIds()) as job:
        port = await server.start()
        async with background(job), open_channel(f"http://127.0.0.1:{port}") as channel:
            try:
                yield Asked(RouterServiceStub(channel))
            finally:
                await server.stop()


def listed(**addresses: str) -> registry_pb2.WatchWorkersResponse:
    """The Registry names the Routers that are alive."""
    routers = [registry_pb2.RouterRecord(router_id=name, address=address) for name, address in addresses.items()]
    return registry_pb2.WatchWorkersResponse(routers=registry_pb2.RouterList(routers=routers))


async def test_the_registry_is_there_while_it_speaks() -> None:
    """When its watch breaks it is away, with what to do, until it speaks again."""
    registry = ScriptedRegistryServicer(snapshot("w1"))
    async with registry_serving(registry) as server:
        address = f"http://127.0.0.1:{server.port}"
        async with router(address) as asked:
            said = await asked.stands({address: OK})
            assert said.name == "router"
            assert said.instance.startswith("router-")
            registry.tell(Unavailable("the Registry stops"))
            [away] = (await asked.stands({address: AWAY})).dependencies
            assert away.name == "registry"
            assert "DEVTEAM_ROUTER_REGISTRY_ADDRESS" in away.detail
            registry.script.pop()
            [back] = (await asked.stands({address: OK})).dependencies
    assert back.detail == ""
    assert back.since.ToNanoseconds() >= away.since.ToNanoseconds()


async def test_a_registry_that_never_spoke_is_away_and_its_secrets_are_not_shown() -> None:
    async with router("http://me:canary@127.0.0.1:1") as asked:
        said = await asked.stands({"http://127.0.0.1:1": AWAY})
    assert "canary" not in str(said)


async def test_other_routers_that_the_registry_names_are_asked() -> None:
    """One answers; the other one is not there, which is said of it alone."""
    other = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    other.serve(["devteam.v1.RouterService"])
    there = f"http://127.0.0.1:{await other.start()}"
    registry = ScriptedRegistryServicer(snapshot("w1"), listed(a=there, b="http://127.0.0.1:1"))
    async with registry_serving(registry) as server:
        address = f"http://127.0.0.1:{server.port}"
        async with router(address) as asked:
            said = await asked.stands({address: OK, there: OK, "http://127.0.0.1:1": AWAY})
    assert [one.name for one in said.dependencies] == ["registry", "router", "router"]
    assert "does not answer" in next(one.detail for one in said.dependencies if one.state == AWAY)
    await other.stop()
