"""A key can be used everywhere from the moment on that its maker has it, however slowly services hear of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devteam.mesh.access.following import KeyFollower
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen
from devteam.mesh.tasks import background
from devteam.v1.access_pb2_grpc import AccessServiceServicer, add_AccessServiceServicer_to_server
from tests.fakes.guarded_mesh import MESH_KEY, GuardedMesh, guarded_mesh
from tests.fakes.ids import CountingIds
from tests.fakes.keyed_server import keyed_server
from tests.fakes.slow_registry import OldRegistry, SlowRegistry

PATIENCE = 30.0
GET = "/devteam.v1.PlannerService/GetTask"
WATCH = "/devteam.v1.PlannerService/WatchTask"
INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
OK = ("OK", "")


@asynccontextmanager
async def service_beside(registry: AccessServiceServicer) -> AsyncIterator[GuardedMesh]:
    """A service in a process of its own that follows the keys of a Registry, and has heard of none yet."""
    clock = SystemClock()
    server = keyed_server(Listen(port=0, stop_grace=0.1), CountingIds(), Keyring(clock, MESH_KEY), clock)
    add_AccessServiceServicer_to_server(registry, server.server)
    url = f"http://127.0.0.1:{await server.start()}"
    try:
        async with guarded_mesh(clock) as mesh, open_channel(url, api_key=MESH_KEY, eager=True) as channel:
            follower = KeyFollower(mesh.keyring, channel, url, clock)
            async with background(follower.run), asyncio.timeout(PATIENCE):
                while follower.footing.trouble:  # noqa: ASYNC110 - no event says so
                    await asyncio.sleep(0.01)
                yield mesh
    finally:
        await server.stop()


@pytest.mark.parametrize("method", [GET, WATCH], ids=["a call", "a stream"])
async def test_a_key_is_not_refused_because_its_news_is_slow(method: str) -> None:
    registry = SlowRegistry()
    async with service_beside(registry) as mesh:
        outcome = asyncio.create_task(mesh.outcome(method, registry.made.secret))
        await registry.asked.wait()
        assert mesh.callers == []
        registry.tells.set()
        assert await outcome == OK
        assert [caller.tenant for caller in mesh.callers] == ["team-a"]


async def test_one_that_nobody_made_is_refused_once_all_has_been_heard_of() -> None:
    registry = SlowRegistry()
    registry.tells.set()
    async with service_beside(registry) as mesh:
        assert await mesh.outcome(GET, mint("c").secret) == INVALID
        assert registry.asked.is_set()
        assert await mesh.outcome(GET, registry.made.secret) == OK


@pytest.mark.parametrize("known", [True, False], ids=["a known key", "no key at all"])
async def test_nobody_is_asked_about_what_cannot_be_new(known: bool) -> None:
    registry = SlowRegistry()
    registry.tells.set()
    async with service_beside(registry) as mesh:
        if known:
            assert await mesh.outcome(GET, registry.made.secret) == OK
            registry.asked.clear()
        secret = registry.made.secret if known else registry.made.secret[:-1]
        assert await mesh.outcome(GET, secret) == (OK if known else INVALID)
        assert not registry.asked.is_set()


async def test_a_registry_that_knows_no_revisions_keeps_nobody_waiting() -> None:
    """It is older than the service."""
    async with service_beside(OldRegistry()) as mesh:
        assert await mesh.outcome(GET, mint("c").secret) == INVALID
