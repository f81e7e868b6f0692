"""Who may register, beat, see and change which worker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from devteam_registry.settings import Settings

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import KeyRecord, Keyring
from devteam.v1 import registry_pb2 as pb
from devteam.v1.access_pb2 import CreateJoinTokenRequest, JoinWorkerRequest
from devteam.v1.access_pb2_grpc import AccessServiceStub
from tests.fakes.callers import CALLERS, SERVICE, Believing, a_key, called
from tests.fakes.clock import FakeClock
from tests.rpc.registry.mesh import Mesh, mask, refusal, running

PATIENCE = 60.0
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def ring(clock: FakeClock) -> Keyring:
    """The keys of all callers, once the mesh runs."""
    return Keyring(clock)


@pytest.fixture
async def mesh(clock: FakeClock, ring: Keyring) -> AsyncIterator[Mesh]:
    settings = Settings(database_url="memory")
    async with running(settings, clock, authorizer=Believing(CALLERS), keyring=ring) as started:
        # The Registry has filled it from its own store, which knows none of them.
        ring.replace([KeyRecord(caller, b"") for name, caller in CALLERS.items() if name != SERVICE])
        yield started


def spec(worker_id: str, *queues: str) -> pb.WorkerSpec:
    named = [pb.WorkerQueue(name=queue, concurrency=1) for queue in queues or ("default",)]
    return pb.WorkerSpec(worker_id=worker_id, queues=named)


async def register(
    mesh: Mesh, by: str, worker_id: str, *queues: str, instance: str = "i1"
) -> pb.RegisterWorkerResponse:
    request = pb.RegisterWorkerRequest(spec=spec(worker_id, *queues), instance_id=instance)
    return await mesh.stub.RegisterWorker(request, metadata=called(by))


async def ids(mesh: Mesh, by: str) -> list[str]:
    page = await mesh.stub.ListWorkers(pb.ListWorkersRequest(), metadata=called(by))
    return [worker.worker_id for worker in page.workers]


async def next_of(call: Any) -> pb.WatchWorkersResponse:
    """What a watch tells next."""
    response = await asyncio.wait_for(call.read(), PATIENCE)
    assert isinstance(response, pb.WatchWorkersResponse), "the watch ended"
    return response


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    code, error = await refusal(call)
    return code, error.reason


class TestRegistering:
    async def test_a_worker_is_its_keys_tenants(self, mesh: Mesh) -> None:
        assert (await register(mesh, "acme-worker", "w1")).worker.tenant == "acme"
        assert (await register(mesh, "worker", "w2")).worker.tenant == ""
        found = await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"), metadata=called("operator"))
        assert found.worker.tenant == "acme"

    async def test_a_key_for_one_worker_is_for_no_other(self, mesh: Mesh) -> None:
        await register(mesh, "bound-worker", "w-bound")
        assert await refused(register(mesh, "bound-worker", "w2")) == (DENIED, "WORKER_ID_BOUND")

    async def test_nobody_else_takes_the_id_of_a_key_that_is_for_one_worker(self, mesh: Mesh) -> None:
        """Not even before that worker has come."""
        assert await refused(register(mesh, "worker", "w-bound")) == (DENIED, "WORKER_ID_BOUND")
        await register(mesh, "bound-worker", "w-bound")
        assert await refused(register(mesh, "worker", "w-bound")) == (DENIED, "WORKER_ID_BOUND")

    async def test_its_queues_have_to_be_the_keys(self, mesh: Mesh) -> None:
        await register(mesh, "gpu-worker", "w1", "gpu")
        code, error = await refusal(register(mesh, "gpu-worker", "w2", "gpu", "cpu"))
        assert (code, error.reason) == (DENIED, "QUEUE_NOT_ALLOWED")
        assert "'cpu'" in error.message
        assert await ids(mesh, "operator") == ["w1"]

    async def test_the_id_of_a_living_worker_is_its_keys(self, mesh: Mesh) -> None:
        """The same key may register it as often as it likes."""
        first = await register(mesh, "worker", "w1")
        assert await refused(register(mesh, "worker-2", "w1", instance="i2")) == (DENIED, "WORKER_ID_BOUND")
        await mesh.beat(first.session_token)
        await register(mesh, "worker", "w1", instance="i3")

    async def test_a_worker_is_its_certificates(self, clock: FakeClock) -> None:
        """Who is known by a certificate has no key, and is told from others by the certificate's name."""
        named = {name: Caller(Role.WORKER, name=f"spiffe://mesh/{name}") for name in ("one", "other")}
        settings, believing = Settings(database_url="memory"), Believing(named)
        async with running(settings, clock, authorizer=believing, keyring=Keyring(clock)) as mesh:
            await register(mesh, "one", "w1")
            await register(mesh, "one", "w1", instance="i2")
            assert await refused(register(mesh, "other", "w1", instance="i3")) == (DENIED, "WORKER_ID_BOUND")

    async def test_the_id_of_a_lost_worker_may_be_taken(self, mesh: Mesh) -> None:
        await register(mesh, "worker", "w1")
        await mesh.pass_time(119)
        assert await refused(register(mesh, "worker-2", "w1", instance="i2")) == (DENIED, "WORKER_ID_BOUND")
        await mesh.pass_time(2)
        assert (await register(mesh, "worker-2", "w1", instance="i2")).worker.instance_id == "i2"

    async def test_the_id_of_a_worker_that_has_left_may_be_taken(self, mesh: Mesh) -> None:
        await register(mesh, "worker", "w1")
        await mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w1"), metadata=called("operator"))
        await register(mesh, "worker-2", "w1", instance="i2")

    async def test_what_a_revoked_key_registered_may_be_taken_at_once(self, mesh: Mesh, ring: Keyring) -> None:
        await register(mesh, "worker", "w1")
        ring.put(KeyRecord(CALLERS["worker"], b"", revoked=True))
        await register(mesh, "worker-2", "w1", instance="i2")

    async def test_a_key_for_this_worker_goes_before_one_for_any(self, clock: FakeClock) -> None:
        settings, none = Settings(database_url="memory"), Keyring(clock)
        async with running(settings, clock, authorizer=Believing(CALLERS), keyring=none) as mesh:
            await register(mesh, "worker", "w-bound")
            await register(mesh, "bound-worker", "w-bound", instance="i2")
            assert await refused(register(mesh, "worker", "w-bound")) == (DENIED, "WORKER_ID_BOUND")

    @pytest.mark.parametrize("holder", ["globex-worker", "worker"])
    async def test_a_tenants_key_for_this_worker_does_not_go_before_anothers(
        self, clock: FakeClock, holder: str
    ) -> None:
        """A tenant makes keys for whichever id it likes; before its own for any it does."""
        settings, none = Settings(database_url="memory"), Keyring(clock)
        async with running(settings, clock, authorizer=Believing(CALLERS), keyring=none) as mesh:
            await register(mesh, holder, "w-acme")
            again = register(mesh, "acme-bound-worker", "w-acme", instance="i2")
            assert await refused(again) == (DENIED, "WORKER_ID_BOUND")
            await mesh.stub.DeregisterWorker(
                pb.DeregisterWorkerRequest(worker_id="w-acme"), metadata=called("operator")
            )
            await register(mesh, "acme-worker", "w-acme")
            await register(mesh, "acme-bound-worker", "w-acme", instance="i2")

    async def test_a_tenant_makes_no_key_for_anothers_worker(self, mesh: Mesh) -> None:
        """Of a worker that lives with a key for any id."""
        await register(mesh, "globex-worker", "w1")
        access = AccessServiceStub(mesh.channel)
        token = await access.CreateJoinToken(CreateJoinTokenRequest(tenant="acme"), metadata=called(SERVICE))
        join = access.JoinWorker(JoinWorkerRequest(token=token.token, worker_id="w1"), metadata=called("acme"))
        assert await refused(join) == (DENIED, "WORKER_ID_BOUND")

    async def test_the_owner_is_known_after_a_restart(self, clock: FakeClock, sqlite_url: str) -> None:
        settings, believing = Settings(database_url=sqlite_url), Believing(CALLERS)
        async with running(settings, clock, authorizer=believing) as mesh:
            await register(mesh, "acme-worker", "w1")
        async with running(settings, clock, authorizer=believing) as mesh:
            assert await ids(mesh, "acme") == ["w1"]
            assert await ids(mesh, "globex") == []
            assert await refused(register(mesh, "acme-worker-2", "w1")) == (DENIED, "WORKER_ID_BOUND")
            await register(mesh, "acme-worker", "w1")

    async def test_without_keys_the_newest_instance_has_the_id(self, mesh: Mesh) -> None:
        await register(mesh, "worker", "w1")
        await mesh.register("w1", "i2")
        await mesh.register("w1", "i3")


class TestBeatsAndFarewells:
    async def test_a_bound_key_beats_and_leaves_as_its_worker_only(self, mesh: Mesh) -> None:
        token = (await register(mesh, "worker", "w1")).session_token
        beat = pb.HeartbeatRequest(worker_id="w1", instance_id="i1", session_token=token)
        leave = pb.DeregisterWorkerRequest(worker_id="w1", instance_id="i1", session_token=token)
        for call in (
            mesh.stub.Heartbeat(beat, metadata=called("bound-worker")),
            mesh.stub.DeregisterWorker(leave, metadata=called("bound-worker")),
        ):
            assert await refused(call) == (DENIED, "WORKER_ID_BOUND")
        await mesh.stub.Heartbeat(beat, metadata=called("worker"))
        await mesh.stub.DeregisterWorker(leave, metadata=called("worker"))

    async def test_a_worker_takes_nobody_off_the_list_without_a_session(self, mesh: Mesh) -> None:
        await register(mesh, "worker", "w1")
        leave = pb.DeregisterWorkerRequest(worker_id="w1")
        call = mesh.stub.DeregisterWorker(leave, metadata=called("worker-2"))
        assert await refused(call) == (DENIED, "SESSION_INVALID")
        assert await ids(mesh, "operator") == ["w1"]


class TestLooking:
    async def test_lists_hold_ones_own_and_everyones(self, mesh: Mesh) -> None:
        for by, worker_id in (("acme-worker", "w1"), ("globex-worker", "w2"), ("worker", "w3")):
            await register(mesh, by, worker_id)
        assert await ids(mesh, "acme") == await ids(mesh, "acme-operator") == ["w1", "w3"]
        assert await ids(mesh, "globex") == ["w2", "w3"]
        assert await ids(mesh, "operator") == ["w1", "w2", "w3"]

    async def test_a_page_goes_on_behind_what_is_not_seen(self, mesh: Mesh) -> None:
        for number in range(6):
            await register(mesh, "acme-worker" if number % 2 else "globex-worker", f"w{number}")
        first = await mesh.stub.ListWorkers(pb.ListWorkersRequest(page_size=1), metadata=called("acme"))
        more = pb.ListWorkersRequest(page_size=2, page_token=first.next_page_token)
        rest = await mesh.stub.ListWorkers(more, metadata=called("acme"))
        assert [worker.worker_id for page in (first, rest) for worker in page.workers] == ["w1", "w3", "w5"]
        assert rest.next_page_token == ""

    async def test_a_bound_key_sees_its_worker_only(self, mesh: Mesh) -> None:
        for by, worker_id in (("bound-worker", "w-bound"), ("worker", "w-other")):
            await register(mesh, by, worker_id)
        for worker_id, found in (("w-bound", True), ("w-other", False), ("w-none", False)):
            call = mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id=worker_id), metadata=called("bound-worker"))
            if found:
                assert (await call).worker.worker_id == worker_id
            else:
                assert await refused(call) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")

    async def test_watchers_hear_of_their_own_and_everyones(self, mesh: Mesh) -> None:
        await register(mesh, "globex-worker", "w1")
        call = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(), metadata=called("acme"))
        while (event := await next_of(call)).WhichOneof("event") != "snapshot":
            pass
        assert list(event.snapshot.workers) == []
        await register(mesh, "globex-worker", "w2")
        await mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w1"), metadata=called("operator"))
        await register(mesh, "acme-worker", "w3")
        await register(mesh, "worker", "w4")
        await mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w3"), metadata=called("operator"))
        heard = [await next_of(call) for _ in range(3)]
        call.cancel()
        assert [event.changed.worker.worker_id for event in heard[:2]] == ["w3", "w4"]
        assert heard[2].removed.worker_id == "w3"

    async def test_a_worker_that_becomes_another_tenants_is_gone_for_those_of_the_first(
        self, mesh: Mesh, ring: Keyring
    ) -> None:
        await register(mesh, "acme-worker", "w1")
        call = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(), metadata=called("acme"))
        while (await next_of(call)).WhichOneof("event") != "snapshot":
            pass
        ring.put(KeyRecord(CALLERS["acme-worker"], b"", revoked=True))
        await register(mesh, "globex-worker", "w1", instance="i2")
        event = await next_of(call)
        call.cancel()
        assert (event.removed.worker_id, event.removed.reason) == ("w1", "registered for another tenant")

    async def test_only_services_watch_as_routers(self, mesh: Mesh) -> None:
        """Who does hears what proves the sessions of workers."""
        request = pb.WatchWorkersRequest(router_id="router-1")
        for by in ("acme", "operator", "admin", "worker"):
            call = mesh.stub.WatchWorkers(request, metadata=called(by))
            assert await refused(call.read()) == (DENIED, "ROLE_NOT_ALLOWED")
        for allowed in (called(SERVICE), ()):
            call = mesh.stub.WatchWorkers(request, metadata=allowed)
            assert (await next_of(call)).HasField("routing")
            call.cancel()


class TestChanging:
    async def test_an_operator_of_a_tenant_changes_its_workers_only(self, mesh: Mesh) -> None:
        """Workers of no tenant serve the others, too."""
        await register(mesh, "acme-worker", "w1")
        await register(mesh, "worker", "w2")
        own, shared = (
            pb.UpdateWorkerRequest(worker_id=worker_id, update_mask=mask("concurrency"), concurrency=3)
            for worker_id in ("w1", "w2")
        )
        changed = await mesh.stub.UpdateWorker(own, metadata=called("acme-operator"))
        assert changed.worker.spec.concurrency == 3
        call = mesh.stub.UpdateWorker(shared, metadata=called("acme-operator"))
        assert await refused(call) == (DENIED, "TENANT_NOT_ALLOWED")
        leave = pb.DeregisterWorkerRequest(worker_id="w2")
        assert await refused(mesh.stub.DeregisterWorker(leave, metadata=called("acme-operator"))) == (
            DENIED,
            "TENANT_NOT_ALLOWED",
        )
        await mesh.stub.UpdateWorker(shared, metadata=called("operator"))

    async def test_routing_is_no_tenants(self, mesh: Mesh) -> None:
        routing = pb.UpdateRoutingRequest(update_mask=mask("strategy"))
        queue = pb.UpdateQueueRequest(policy=pb.QueuePolicy(name="gpu", paused=True), update_mask=mask("paused"))
        for call in (
            mesh.stub.UpdateRouting(routing, metadata=called("acme-operator")),
            mesh.stub.UpdateQueue(queue, metadata=called("acme-operator")),
        ):
            assert await refused(call) == (DENIED, "TENANT_NOT_ALLOWED")
        assert (await mesh.stub.UpdateQueue(queue, metadata=called("operator"))).policy.paused

    async def test_an_operator_of_some_queues_changes_those_only(self, clock: FakeClock) -> None:
        believing = Believing({"of-gpu": a_key("of-gpu", Role.OPERATOR, "", "gpu")})
        async with running(
            Settings(database_url="memory"), clock, authorizer=believing, keyring=Keyring(clock)
        ) as mesh:
            gpu, cpu = (
                pb.UpdateQueueRequest(policy=pb.QueuePolicy(name=name, paused=True), update_mask=mask("paused"))
                for name in ("gpu", "cpu")
            )
            assert (await mesh.stub.UpdateQueue(gpu, metadata=called("of-gpu"))).policy.paused
            refusal_of_cpu = await refused(mesh.stub.UpdateQueue(cpu, metadata=called("of-gpu")))
            assert refusal_of_cpu == (DENIED, "QUEUE_NOT_ALLOWED")
            routing = pb.UpdateRoutingRequest(update_mask=mask("strategy"))
            assert await refused(mesh.stub.UpdateRouting(routing, metadata=called("of-gpu"))) == refusal_of_cpu

    async def test_the_shares_of_other_tenants_are_not_shown(self, mesh: Mesh) -> None:
        """Neither to who asks for the routing, nor to who watches; a policy that is about others only is not there."""
        for name, weights in (("gpu", {"acme": 3.0, "globex": 1.0}), ("cpu", {"globex": 2.0})):
            policy = pb.QueuePolicy(name=name, tenant_weights=weights)
            request = pb.UpdateQueueRequest(policy=policy, update_mask=mask("tenant_weights"))
            await mesh.stub.UpdateQueue(request, metadata=called("operator"))
        asked = (await mesh.stub.GetRouting(pb.GetRoutingRequest(), metadata=called("acme"))).routing
        call = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(), metadata=called("acme"))
        watched = (await next_of(call)).routing
        while (await next_of(call)).WhichOneof("event") != "snapshot":
            pass
        policy = pb.QueuePolicy(name="tpu", tenant_weights={"globex": 5.0})
        request = pb.UpdateQueueRequest(policy=policy, update_mask=mask("tenant_weights"))
        await mesh.stub.UpdateQueue(request, metadata=called("operator"))
        changed = (await next_of(call)).routing
        call.cancel()
        for routing in (asked, watched, changed):
            assert {policy.name: dict(policy.tenant_weights) for policy in routing.queues} == {"gpu": {"acme": 3.0}}
        everything = (await mesh.stub.GetRouting(pb.GetRoutingRequest(), metadata=called("operator"))).routing
        assert {policy.name for policy in everything.queues} == {"gpu", "cpu", "tpu"}
