"""Services that are processes of their own know the keys that the Registry owns, and outlive its absence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from devteam_cli.ports import free_port
from devteam_planner.app import mounted as planner_mounted
from devteam_planner.settings import Settings as PlannerSettings
from devteam_router.app import mounted as router_mounted
from devteam_router.peer_client import PeerClient
from devteam_router.settings import Settings as RouterSettings
from structlog.testing import capture_logs

from devteam.mesh import options
from devteam.mesh.access.caller import Role
from devteam.mesh.access.following import KeyFollower
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unauthenticated, Unavailable
from devteam.mesh.server import Listen
from devteam.mesh.service import Mounted
from devteam.mesh.settings import ServiceSettings
from devteam.mesh.standing import DependencyState
from devteam.mesh.tasks import background
from devteam.v1 import access_pb2 as pb
from devteam.v1 import planner_pb2, planner_pb2_grpc, registry_pb2, router_pb2, router_pb2_grpc, status_pb2
from devteam.v1.registry_pb2_grpc import RegistryServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.ids import CountingIds
from tests.fakes.keyed_server import keyed_server
from tests.rpc.registry.keyed import MESH_KEY, KeyedMesh, keyed_registry

SOON = 60

Answer = TypeVar("Answer")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


class Ends:
    """The ids of keys that ended at a follower, as they come."""

    def __init__(self, keyring: Keyring) -> None:
        self._ids: asyncio.Queue[str] = asyncio.Queue()
        keyring.on_ended(self._ids.put_nowait)

    async def next(self, within: float) -> str:
        async with asyncio.timeout(within):
            return await self._ids.get()


@asynccontextmanager
async def following(url: str, mesh_key: str = MESH_KEY) -> AsyncIterator[tuple[Keyring, KeyFollower]]:
    """A keyring of another process."""
    keyring = Keyring(SystemClock(), MESH_KEY)
    async with open_channel(url, api_key=mesh_key, eager=True) as channel:
        follower = KeyFollower(keyring, channel, url, SystemClock())
        async with background(follower.run):
            yield keyring, follower


@pytest.fixture
async def keyed(clock: FakeClock) -> AsyncIterator[KeyedMesh]:
    async with keyed_registry(clock) as mesh:
        yield mesh


async def revoke(mesh: KeyedMesh, key_id: str) -> None:
    await (await mesh.as_(MESH_KEY)).RevokeKey(pb.RevokeKeyRequest(key_id=key_id))


async def test_a_revoked_key_ends_at_a_follower(keyed: KeyedMesh) -> None:
    """And one that is new is known."""
    first = await keyed.create()
    async with following(keyed.url) as (keyring, follower):
        await until(lambda: keyring.is_told)
        assert (await follower.footing.dependency()).state is DependencyState.OK
        second = await keyed.create(role=pb.ROLE_WORKER, worker_id="w1", queues=["gpu"])
        await until(lambda: _knows(keyring, second.secret))
        caller = keyring.identify(second.secret)
        assert (caller.role, caller.worker_id, caller.queues) == (Role.WORKER, "w1", ("gpu",))
        ends = Ends(keyring)
        await revoke(keyed, first.key.key_id)
        assert await ends.next(within=SOON) == first.key.key_id
        with pytest.raises(Unauthenticated):
            keyring.identify(first.secret)


async def test_what_was_known_holds_while_the_registry_is_away(clock: FakeClock, sqlite_url: str) -> None:
    """What was revoked meanwhile ends once it is back."""
    async with keyed_registry(clock, database_url=sqlite_url) as mesh:
        port, url = mesh.server.port, mesh.url
        stays, goes = await mesh.create(), await mesh.create()
        async with following(url) as (keyring, follower):
            await until(lambda: keyring.is_told)
            ends = Ends(keyring)
            await mesh.server.stop()
            await until(lambda: follower.footing.trouble != "")
            away = await follower.footing.dependency()
            assert (away.state, "as they were known last" in away.detail) == (DependencyState.AWAY, True)
            assert keyring.identify(stays.secret).key_id == stays.key.key_id
            async with keyed_registry(clock, database_url=sqlite_url, port=port) as back:
                await revoke(back, goes.key.key_id)
                assert await ends.next(within=SOON) == goes.key.key_id
                assert keyring.identify(stays.secret)


async def test_a_registry_that_is_back_is_asked_within_a_second() -> None:
    """At worst, gRPC's longest pause, to which it adds a fifth by chance, ends just after the follower's own began."""
    clock, nobody = HastyClock(), f"127.0.0.1:{free_port()}"
    async with open_channel(nobody, eager=True) as channel:
        follower = KeyFollower(Keyring(clock), channel, nobody, clock)
        async with background(follower.run):
            await until(lambda: len(clock.slept) >= 20)
    assert int(dict(options.EAGER_CLIENT)["grpc.max_reconnect_backoff_ms"]) / 1000 * 1.2 + max(clock.slept) < 1
    # And not without a pause, nor in step with others who lost it in the same moment.
    assert min(clock.slept) >= 0.1
    assert len(set(clock.slept)) == len(clock.slept)


async def test_a_service_that_never_heard_of_keys_asks_for_patience(keyed: KeyedMesh) -> None:
    """It does not call a key wrong that it cannot know; here its own mesh key is another one."""
    made = await keyed.create()
    with capture_logs() as logs:
        async with following(keyed.url, mint("m").secret) as (keyring, follower):
            await until(lambda: any(line["event"] == "keys are taken as they were known last" for line in logs))
        dependency = await follower.footing.dependency()
        with pytest.raises(Unavailable):
            keyring.identify(made.secret)
        assert (dependency.name, dependency.state) == ("keys", DependencyState.AWAY)
        assert "the same mesh key" in dependency.detail
        assert keyring.identify(MESH_KEY).role is Role.SERVICE


def _knows(keyring: Keyring, secret: str) -> bool:
    try:
        return bool(keyring.identify(secret))
    except Unauthenticated:
        return False


@asynccontextmanager
async def service(mounted: Mounted[ServiceSettings], settings: ServiceSettings) -> AsyncIterator[str]:
    """A service as a process of its own has it: with a keyring that it fills itself."""
    keyring = Keyring(SystemClock(), MESH_KEY)
    server = keyed_server(Listen(port=0, stop_grace=0.1), CountingIds(), keyring, SystemClock())
    async with mounted(server, settings, SystemClock(), CountingIds()) as job:
        port = await server.start()
        async with background(job):
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                await server.stop()


async def test_a_router_asks_for_keys_and_shows_its_own(keyed: KeyedMesh) -> None:
    """It watches the fleet as a Router, which takes the mesh key."""
    made = await keyed.create()
    settings = RouterSettings(registry_address=keyed.url, keys=True, mesh_key=MESH_KEY)
    async with service(router_mounted, settings) as url:  # type: ignore[arg-type]  # settings of its own
        async with open_channel(url, api_key=made.secret) as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            standing = (await answered(lambda: stub.GetRouterStatus(router_pb2.GetRouterStatusRequest()))).status
            async with asyncio.timeout(SOON):
                while any(one.state != status_pb2.DEPENDENCY_STATE_OK for one in standing.dependencies):
                    await asyncio.sleep(0.05)
                    standing = (await stub.GetRouterStatus(router_pb2.GetRouterStatusRequest())).status
        assert [one.name for one in standing.dependencies] == ["registry", "keys"]
        async with open_channel(url) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await router_pb2_grpc.RouterServiceStub(channel).ListQueues(router_pb2.ListQueuesRequest())
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


class OnePeer:
    """There is one other Router."""

    def __init__(self, address: str) -> None:
        self.addresses = (address,)


@pytest.mark.parametrize(("shown", "heard"), [(MESH_KEY, ["opus"]), ("", [])], ids=["shown", "not shown"])
async def test_routers_ask_each_other_with_the_mesh_key(keyed: KeyedMesh, shown: str, heard: list[str]) -> None:
    """Without it, one is as far away as one that is gone."""
    throttle = router_pb2.ShareThrottleRequest(model="opus", reason="slow down")
    throttle.remaining.FromSeconds(60)
    settings = RouterSettings(registry_address=keyed.url, keys=True, mesh_key=MESH_KEY)
    async with service(router_mounted, settings) as url:  # type: ignore[arg-type]  # settings of its own
        async with open_channel(url, api_key=MESH_KEY) as channel:
            await router_pb2_grpc.RouterServiceStub(channel).ShareThrottle(throttle)
        async with PeerClient(OnePeer(url), shown) as peers:  # type: ignore[arg-type]  # what is needed of it
            _, throttles = await peers.added([], [])
    assert [each.model for each in throttles] == heard


async def test_a_planner_asks_for_keys_and_shows_its_own(keyed: KeyedMesh, tmp_path: Path) -> None:
    made = await keyed.create()
    settings = PlannerSettings(
        database_url=f"sqlite:///{tmp_path / 'planner.db'}",
        temporal_address="127.0.0.1:1",
        router_address=keyed.url,
        registry_address=keyed.url,
        keys=True,
        mesh_key=MESH_KEY,
    )
    async with (
        service(planner_mounted, settings) as url,  # type: ignore[arg-type]  # settings of its own
        open_channel(url, api_key=made.secret) as channel,
    ):
        stub = planner_pb2_grpc.PlannerServiceStub(channel)
        standing = (await answered(lambda: stub.GetPlannerStatus(planner_pb2.GetPlannerStatusRequest()))).status
        [keys] = [one for one in standing.dependencies if one.name == "keys"]
        assert (keys.state, keys.address) == (status_pb2.DEPENDENCY_STATE_OK, keyed.url)


async def answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a service says once it knows the keys."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)


async def test_nobody_but_services_watches_as_a_router(keyed: KeyedMesh) -> None:
    """Others would show the mesh key to whoever is at its address, and tell it what proves workers' sessions."""
    made = await keyed.create(role=pb.ROLE_ADMIN)
    request = registry_pb2.WatchWorkersRequest(router_id="router-1", address="127.0.0.1:1")
    async with open_channel(keyed.url, api_key=made.secret) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await RegistryServiceStub(channel).WatchWorkers(request).read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
