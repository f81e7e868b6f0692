"""Streams that stay open: how many a key may have, and when they end."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from devteam.mesh import status
from devteam.mesh.access.caller import Role
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import MESH_KEY, PATIENCE, GuardedMesh, guarded_mesh

WATCH = "/devteam.v1.PlannerService/WatchTask"
CONNECT = "/devteam.v1.WorkerService/Connect"
HEALTH = "/grpc.health.v1.Health/Watch"
INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
LIMIT = ("RESOURCE_EXHAUSTED", "STREAM_LIMIT")


async def opened(mesh: GuardedMesh, path: str, key: str, *metadata: tuple[str, str]) -> Any:
    call = mesh.call(path, key, *metadata)
    await call.read()
    return call


async def end_of(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(read_out(call), PATIENCE)
    return caught.value.code().name, status.from_rpc(caught.value).reason


async def read_out(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


@pytest.mark.parametrize(("path", "role"), [(WATCH, Role.CLIENT), (CONNECT, Role.WORKER), (HEALTH, Role.CLIENT)])
async def test_a_revoked_key_ends_its_streams(clock: FakeClock, path: str, role: Role) -> None:
    """Those of other keys go on."""
    async with guarded_mesh(clock) as mesh:
        revoked, other = mesh.key(role), mesh.key(role)
        streams = [await opened(mesh, path, revoked) for _ in range(3)]
        going_on = await opened(mesh, path, other)
        mesh.revoke(revoked)
        assert [await end_of(stream) for stream in streams] == [INVALID] * 3
        assert not going_on.done()
        mesh.over.set()


async def test_a_watch_of_health_that_is_left_leaves_nothing_behind(clock: FakeClock) -> None:
    """However it was left: what watches next is told, and so is whoever watched all the time."""
    async with guarded_mesh(clock) as mesh:
        key = mesh.key(Role.CLIENT)
        stays, goes, revoked = await opened(mesh, HEALTH, ""), await opened(mesh, HEALTH, ""), mesh.key(Role.CLIENT)
        ended = await opened(mesh, HEALTH, revoked)
        goes.cancel()
        mesh.revoke(revoked)
        assert await end_of(ended) == INVALID
        next_one = await opened(mesh, HEALTH, key)
        await mesh.server.announce([""], serving=False)
        for watch in (stays, next_one):
            told = health_pb2.HealthCheckResponse.FromString(await asyncio.wait_for(watch.read(), PATIENCE))
            assert told.status is health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_key_that_is_no_longer_among_the_keys_ends_its_streams(clock: FakeClock) -> None:
    """As when a Router was cut off from the Registry while the key was revoked."""
    async with guarded_mesh(clock) as mesh:
        stream = await opened(mesh, WATCH, mesh.key(Role.CLIENT))
        mesh.keyring.replace([])
        assert await end_of(stream) == INVALID


async def test_a_key_that_expires_ends_its_streams_then(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        stream = await opened(mesh, WATCH, mesh.key(Role.CLIENT, expires_at=clock.now() + timedelta(hours=1)))
        clock.advance(3_599)
        await asyncio.sleep(0.05)
        assert not stream.done()
        clock.advance(1)
        assert await end_of(stream) == INVALID


async def test_a_stream_in_the_middle_of_a_flood_ends_too(clock: FakeClock) -> None:
    """What is being sent goes out first."""
    async with guarded_mesh(clock, flood=True) as mesh:
        key = mesh.key(Role.CLIENT)
        stream = await opened(mesh, WATCH, key)
        ending = asyncio.create_task(end_of(stream))
        for _ in range(3):
            await opened(mesh, HEALTH, "")
        mesh.revoke(key)
        assert await ending == INVALID


async def test_a_key_has_only_so_many_streams_open(clock: FakeClock) -> None:
    """One that ends makes room; others' do not count."""
    async with guarded_mesh(clock, streams_per_key=2) as mesh:
        key = mesh.key(Role.CLIENT)
        first, _ = await opened(mesh, WATCH, key), await opened(mesh, WATCH, key)
        assert await mesh.outcome(WATCH, key) == LIMIT
        assert await mesh.outcome(WATCH, mesh.key(Role.CLIENT)) == ("OK", "")
        first.cancel()
        async with asyncio.timeout(PATIENCE):
            while await mesh.outcome(WATCH, key) == LIMIT:  # noqa: ASYNC110 - a server says nothing when it has let go
                await asyncio.sleep(0.01)


async def test_services_have_as_many_as_they_need(clock: FakeClock) -> None:
    async with guarded_mesh(clock, streams_per_key=1) as mesh:
        for _ in range(5):
            await opened(mesh, "/devteam.v1.RegistryService/WatchWorkers", MESH_KEY)


async def test_strangers_share_those_of_their_address(clock: FakeClock) -> None:
    async with guarded_mesh(clock, streams_per_key=1) as mesh:
        here, there = mesh.elsewhere(), mesh.elsewhere()
        await opened(mesh, HEALTH, "", here)
        assert await mesh.outcome(HEALTH, "", here) == LIMIT
        assert await mesh.outcome(HEALTH, "", there) == ("OK", "")
