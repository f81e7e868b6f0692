from collections.abc import AsyncIterator

import pytest
from devteam_planner.router_client.routers import Routers

from devteam.mesh.channel import open_channel
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_server import ScriptedRouterServicer, serving
from tests.rpc.planner.mesh import Mesh, running
from tests.rpc.planner.router_line import Line


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[Mesh]:
    """A Planner that remembers nothing on disk."""
    async with running(clock) as started:
        yield started


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    router, clock = ScriptedRouterServicer(), HastyClock()
    async with serving(router) as server, open_channel(f"http://127.0.0.1:{server.port}") as channel:
        client = Routers({"only": channel}, clock)
        async with background(client.run):
            yield Line(client, router, server, clock)
