"""How operators want runs to be placed, over the wire."""

import asyncio

import grpc
import pytest
from devteam_registry.app import SERVICE
from devteam_registry.health import HealthPolicy
from devteam_registry.service import Registry
from devteam_registry.servicer import RegistryServicer
from devteam_registry.settings import Settings
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import Unavailable
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.options import MAX_MESSAGE_BYTES
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import run_pb2
from devteam.v1.registry_pb2_grpc import RegistryServiceStub, add_RegistryServiceServicer_to_server
from tests.fakes.clock import FakeClock
from tests.fakes.standing import a_standing
from tests.fakes.worker_store import FakeRoutingStore, FakeWorkerStore
from tests.rpc.registry.mesh import Mesh, mask, refusal, running, violations

PLACING = pb.Routing(
    strategy=run_pb2.STRATEGY_LEAST_LOADED,
    locality_wait=Duration(seconds=2, nanos=500_000_000),
    preferences=[pb.ModelPreference(model="ollama:*", queues=["gpu", "default"])],
    limits=[pb.ModelLimit(model="opus", queue="gpu", starts_per_minute=12.5)],
)
POLICY = pb.QueuePolicy(
    name="gpu",
    paused=True,
    strategy=run_pb2.STRATEGY_LOCALITY,
    locality_wait=Duration(),
    tenant_weights={"team-a": 3.0, "team-b": 0.5},
)


async def routing(mesh: Mesh) -> pb.Routing:
    return (await mesh.stub.GetRouting(pb.GetRoutingRequest())).routing


async def place(mesh: Mesh, wanted: pb.Routing, *paths: str) -> pb.Routing:
    request = pb.UpdateRoutingRequest(routing=wanted, update_mask=mask(*paths))
    return (await mesh.stub.UpdateRouting(request)).routing


async def serve(mesh: Mesh, policy: pb.QueuePolicy, *paths: str) -> pb.QueuePolicy:
    request = pb.UpdateQueueRequest(policy=policy, update_mask=mask(*paths))
    return (await mesh.stub.UpdateQueue(request)).policy


async def test_nothing_is_wanted_at_first(mesh: Mesh) -> None:
    assert await routing(mesh) == pb.Routing()


async def test_every_field_of_a_routing_comes_back(mesh: Mesh) -> None:
    """From both updates, and when it is asked for."""
    assert await place(mesh, PLACING, "strategy", "locality_wait", "preferences", "limits") == PLACING
    assert await serve(mesh, POLICY, "paused", "strategy", "locality_wait", "tenant_weights") == POLICY
    expected = pb.Routing(queues=[POLICY])
    expected.MergeFrom(PLACING)
    assert await routing(mesh) == expected


async def test_only_what_the_mask_names_changes(mesh: Mesh) -> None:
    """To nothing, where nothing is said: a queue of which nothing is wanted has no policy any more."""
    await place(mesh, PLACING, "strategy", "limits")
    assert await place(mesh, pb.Routing(locality_wait=Duration()), "strategy") == pb.Routing(limits=PLACING.limits)
    await serve(mesh, POLICY, "paused", "tenant_weights")
    resumed = pb.QueuePolicy(name="gpu", tenant_weights=POLICY.tenant_weights)
    assert await serve(mesh, pb.QueuePolicy(name="gpu"), "paused") == resumed
    assert await serve(mesh, pb.QueuePolicy(name="gpu"), "tenant_weights") == pb.QueuePolicy(name="gpu")
    assert not (await routing(mesh)).queues


async def test_updates_at_the_same_time_all_happen(mesh: Mesh) -> None:
    """Each of a queue of its own."""
    names = [f"q{number:02}" for number in range(20)]
    await asyncio.gather(*(serve(mesh, pb.QueuePolicy(name=name, paused=True), "paused") for name in names))
    assert [policy.name for policy in (await routing(mesh)).queues] == names


@pytest.mark.parametrize("fixture", ["sqlite_url", "postgres_url"])
async def test_the_routing_survives_a_restart_of_the_registry(
    request: pytest.FixtureRequest, clock: FakeClock, fixture: str
) -> None:
    settings = Settings(database_url=request.getfixturevalue(fixture))
    async with running(settings, clock) as mesh:
        await place(mesh, PLACING, "strategy", "preferences")
        await serve(mesh, POLICY, "paused")
        before = await routing(mesh)
    async with running(settings, clock) as mesh:
        assert await routing(mesh) == before


async def test_what_cannot_be_stored_is_refused_and_does_not_hold(clock: FakeClock) -> None:
    """With a pause to wait; the routing can be asked for all the same."""
    store = FakeRoutingStore()
    registry = Registry(FakeWorkerStore(), store, clock, HealthPolicy())
    server = MeshServer(Listen(port=0, stop_grace=0.5), TimeOrderedIds(clock))
    add_RegistryServiceServicer_to_server(
        RegistryServicer(registry, HealthPolicy(), (), a_standing("registry", clock)), server.server
    )
    server.serve([SERVICE], registry.stop_watches)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        mesh = Mesh(server, channel, RegistryServiceStub(channel), clock)
        store.down = True
        for call in (place(mesh, PLACING, "strategy"), serve(mesh, POLICY, "paused")):
            code, error = await refusal(call)
            assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
            assert isinstance(error, Unavailable)
            assert error.retry_after == 1.0
        assert await routing(mesh) == pb.Routing()
        await server.stop()


async def test_watchers_are_told_the_routing_before_the_fleet_and_of_every_change(mesh: Mesh) -> None:
    """Changes of it come in their place among those of workers; what changes nothing is not told."""
    await serve(mesh, POLICY, "paused")
    await mesh.register("w1")
    watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest())
    told = [await watch.read() for _ in range(3)]
    await place(mesh, PLACING, "strategy")
    await place(mesh, PLACING, "strategy")
    await mesh.register("w2")
    await serve(mesh, pb.QueuePolicy(name="gpu"), "paused")
    told += [await asyncio.wait_for(watch.read(), 60) for _ in range(3)]
    watch.cancel()
    events = [event for event in told if isinstance(event, pb.WatchWorkersResponse)]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["routing", "routers", "snapshot", "routing", "changed", "routing"]
    paused = [pb.QueuePolicy(name="gpu", paused=True)]
    assert [events[at].routing for at in (0, 3, 5)] == [
        pb.Routing(queues=paused),
        pb.Routing(strategy=PLACING.strategy, queues=paused),
        pb.Routing(strategy=PLACING.strategy),
    ]


async def test_the_largest_routing_fits_into_one_message(mesh: Mesh) -> None:
    """Else no Router could watch any longer."""
    queues = [f"{number:0128}" for number in range(16)]
    preferences = [pb.ModelPreference(model=f"{number:0255}", queues=queues) for number in range(1_000)]
    limits = [pb.ModelLimit(model="m" * 255, queue="q" * 128, starts_per_minute=0.1)] * 1_000
    await place(mesh, pb.Routing(preferences=preferences, limits=limits), "preferences", "limits")
    weights = {f"{number:064}": 0.1 for number in range(1_000)}
    for number in range(10):
        await serve(mesh, pb.QueuePolicy(name=f"{number:0128}", tenant_weights=weights), "tenant_weights")
    assert await violations(serve(mesh, pb.QueuePolicy(name="q", tenant_weights={"t": 0.1}), "tenant_weights")) == {
        ("policy.tenant_weights", "TOO_MANY")
    }
    for number in range(990):
        policy = pb.QueuePolicy(name=f"p{number:0127}", paused=True, strategy=run_pb2.STRATEGY_LOCALITY)
        policy.locality_wait.seconds = 3_599
        policy.locality_wait.nanos = 999_999_000
        await serve(mesh, policy, "paused", "strategy", "locality_wait")
    watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest())
    told = await watch.read()
    watch.cancel()
    assert isinstance(told, pb.WatchWorkersResponse)
    assert len(told.routing.queues) == 1_000
    assert told.ByteSize() < 0.95 * MAX_MESSAGE_BYTES
