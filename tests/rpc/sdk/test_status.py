"""How a client hears how the services of a mesh stand."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import Dependency, DependencyState, ServiceStatus
from devteam.errors import FailedPrecondition, Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.testing import FakeMesh
from tests.fakes.ids import CountingIds

AWAY = Dependency(
    name="temporal",
    address="127.0.0.1:7233",
    state=DependencyState.AWAY,
    detail="it does not answer: see whether it runs there",
    since=datetime(2026, 11, 22, 12, tzinfo=UTC),
)
WELL = Dependency(name="database", address="sqlite planner.db", state=DependencyState.OK)


async def test_every_service_says_how_it_stands() -> None:
    """With what it stands on, and in the order in which a mesh starts."""
    told = ServiceStatus(name="planner", dependencies=(WELL, AWAY), traces="otlp", version="9.9.9")
    async with FakeMesh(services=[told]) as mesh, mesh.client() as client:
        registry, router, planner = await client.get_status()
    assert [registry.name, router.name, planner.name] == ["registry", "router", "planner"]
    assert (planner.version, planner.traces) == ("9.9.9", "otlp")
    assert planner.dependencies == (WELL, AWAY)
    assert planner.away == (AWAY,)
    assert registry.uptime is not None
    assert registry.uptime < timedelta(seconds=60)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(seconds=-90)])
async def test_how_far_a_clock_is_ahead(ahead: timedelta) -> None:
    """Half of the time that the answer took is doubt."""
    async with FakeMesh(services=[ServiceStatus(name="router", clock_ahead=ahead)]) as mesh, mesh.client() as client:
        registry, router, _ = await client.get_status()
    assert abs(router.clock_ahead - ahead) <= router.clock_margin + timedelta(milliseconds=1)
    assert abs(registry.clock_ahead) <= registry.clock_margin + timedelta(milliseconds=1)


async def test_one_that_cannot_be_asked_is_no_error() -> None:
    async with FakeMesh(services=[ServiceStatus(name="router", problem="it drains")]) as mesh, mesh.client() as client:
        registry, router, planner = await client.get_status()
    assert (router.name, router.problem, router.version, router.uptime) == ("router", "it drains", "", None)
    assert (registry.problem, planner.problem) == ("", "")


async def test_nobody_there_is_an_error() -> None:
    mesh = FakeMesh()
    async with mesh:
        pass
    async with mesh.client() as client:
        with pytest.raises(Unavailable, match="cannot reach http"):
            await client.get_status()


async def test_a_server_that_is_no_mesh_is_an_error() -> None:
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    port = await server.start()
    async with FakeMesh(port=0) as mesh:
        mesh.port = port
        async with mesh.client() as client:
            with pytest.raises(FailedPrecondition, match="not as a mesh that knows this call"):
                await client.get_status()
    await server.stop()
