"""The life of a worker, over the wire."""

import hashlib
from datetime import UTC, timedelta

import grpc
import pytest
from devteam_registry.app import SERVICE
from devteam_registry.health import HealthPolicy
from devteam_registry.service import Registry
from devteam_registry.servicer import RegistryServicer
from devteam_registry.settings import Settings
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import Aborted, NotFound, PermissionDenied, Unavailable
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2 as pb
from devteam.v1.registry_pb2_grpc import RegistryServiceStub, add_RegistryServiceServicer_to_server
from tests.fakes.clock import FakeClock
from tests.fakes.standing import a_standing
from tests.fakes.worker_store import FakeRoutingStore, FakeWorkerStore
from tests.rpc.registry.mesh import Mesh, mask, refusal, running, small_spec


async def test_a_registration_answers_with_all_that_a_worker_needs(mesh: Mesh) -> None:
    """Its record, a session, the timings and the routers."""
    answer = await mesh.register()
    assert answer.worker.worker_id == "w1"
    assert answer.worker.instance_id == "i1"
    declared = small_spec()
    declared.resources.SetInParent()
    declared.location.SetInParent()
    assert answer.worker.spec == declared
    assert answer.worker.state == pb.WORKER_STATE_HEALTHY
    assert answer.worker.next_state == pb.WORKER_STATE_UNHEALTHY
    assert answer.worker.next_state_time.ToDatetime(tzinfo=UTC) == mesh.clock.now() + timedelta(seconds=60)
    assert answer.worker.availability == pb.AVAILABILITY_OPEN
    assert answer.worker.registered_at.ToDatetime(tzinfo=UTC) == mesh.clock.now()
    assert len(answer.session_token) == 43
    policy = answer.policy
    limits = (policy.heartbeat_interval, policy.unhealthy_after, policy.lost_after, policy.deregister_after)
    assert [limit.seconds for limit in limits] == [30, 60, 120, 300]
    assert list(answer.router_addresses) == ["127.0.0.1:7402"]


async def test_every_field_of_a_declaration_comes_back(mesh: Mesh) -> None:
    """GetWorker shows what was declared."""
    spec = pb.WorkerSpec(
        worker_id="gpu-box",
        queues=[pb.WorkerQueue(name="gpu-queue", concurrency=4, models=["opus", "ollama:*"])],
        concurrency=3,
        resources=pb.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24.5, cpu_cores=8),
        labels={"rack/unit": "7"},
        location=pb.Location(region="eu", zone="eu-1", host="asus"),
        local_models=[pb.LocalModel(name="ollama:llama3.3", resident=True, size_bytes=40_000_000_000)],
        data_sources=["wiki"],
        tools=["search"],
        version="0.1.0",
        weight=4.0,
    )
    await mesh.stub.RegisterWorker(pb.RegisterWorkerRequest(spec=spec, instance_id="i1"))
    assert (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="gpu-box"))).worker.spec == spec


async def test_silence_is_judged_and_a_beat_heals(mesh: Mesh) -> None:
    """UNHEALTHY after 60 s with the reason in words, healthy again with the next beat."""
    token = (await mesh.register()).session_token
    await mesh.pass_time(71)
    worker = (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker
    assert (worker.state, worker.state_reason) == (pb.WORKER_STATE_UNHEALTHY, "no beat for 71 s")
    assert worker.next_state == pb.WORKER_STATE_LOST
    assert worker.uptime.seconds == 71
    answer = await mesh.beat(token)
    assert (answer.state, answer.heartbeat_interval.seconds) == (pb.WORKER_STATE_HEALTHY, 30)
    assert (answer.availability, answer.concurrency) == (pb.AVAILABILITY_OPEN, 2)


async def test_a_worker_silent_for_300_s_has_to_register_again(mesh: Mesh) -> None:
    """Its beats are answered WORKER_NOT_REGISTERED."""
    token = (await mesh.register()).session_token
    await mesh.pass_time(300)
    code, error = await refusal(mesh.beat(token))
    assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_REGISTERED")
    assert isinstance(error, NotFound)
    assert error.name == "w1"


async def test_a_superseded_instance_is_told_to_stop(mesh: Mesh) -> None:
    """Neither its beats nor its farewell count any more."""
    old = await mesh.register(instance_id="i1")
    await mesh.register(instance_id="i2")
    farewell = pb.DeregisterWorkerRequest(worker_id="w1", instance_id="i1", session_token=old.session_token)
    for call in (mesh.beat(old.session_token), mesh.stub.DeregisterWorker(farewell)):
        code, error = await refusal(call)
        assert (code, type(error), error.reason) == (grpc.StatusCode.ABORTED, Aborted, "INSTANCE_SUPERSEDED")


@pytest.mark.parametrize("token", ["", "guess"])
async def test_a_stranger_cannot_beat(mesh: Mesh, token: str) -> None:
    """Without the token that was issued, or with none."""
    await mesh.register()
    code, error = await refusal(mesh.beat(token))
    assert (code, type(error), error.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        PermissionDenied,
        "SESSION_INVALID",
    )


async def test_registering_again_renews_the_session(mesh: Mesh) -> None:
    """The same instance gets a fresh token, and only that one counts."""
    old = (await mesh.register()).session_token
    new = (await mesh.register()).session_token
    _, error = await refusal(mesh.beat(old))
    assert error.reason == "SESSION_INVALID"
    assert (await mesh.beat(new)).state == pb.WORKER_STATE_HEALTHY


async def test_an_operator_changes_what_a_worker_may_do(mesh: Mesh) -> None:
    """Only what the mask names changes; beats carry it to the worker; 0 takes a wish back."""
    token = (await mesh.register()).session_token
    updated = await mesh.stub.UpdateWorker(
        pb.UpdateWorkerRequest(
            worker_id="w1",
            update_mask=mask("concurrency", "labels"),
            concurrency=8,
            availability=pb.AVAILABILITY_DRAINING,
            labels={"disk": "", "team": "red"},
        )
    )
    assert (updated.worker.spec.concurrency, dict(updated.worker.spec.labels)) == (8, {"team": "red"})
    assert updated.worker.availability == pb.AVAILABILITY_OPEN
    await mesh.stub.UpdateWorker(
        pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("availability"), availability=pb.AVAILABILITY_CORDONED)
    )
    answer = await mesh.beat(token)
    assert (answer.concurrency, answer.availability) == (8, pb.AVAILABILITY_CORDONED)
    await mesh.stub.UpdateWorker(pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("concurrency")))
    assert (await mesh.beat(token)).concurrency == 2


async def test_an_operator_weighs_a_worker_anew(mesh: Mesh) -> None:
    """Over what it declares; 0 takes the wish back."""
    spec = small_spec()
    spec.weight = 4.0
    await mesh.stub.RegisterWorker(pb.RegisterWorkerRequest(spec=spec, instance_id="i1"))
    weights = []
    for wish in (0.5, 0.0):
        update = pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("weight"), weight=wish)
        weights.append((await mesh.stub.UpdateWorker(update)).worker.spec.weight)
    assert weights == [0.5, 4.0]


async def test_a_list_comes_in_pages_and_filtered(mesh: Mesh) -> None:
    """Every worker once, in the order of ids."""
    for number in (3, 1, 2, 5, 4):
        await mesh.register(f"w{number}")
    listed: list[str] = []
    token = ""
    for _ in range(3):
        page = await mesh.stub.ListWorkers(pb.ListWorkersRequest(page_size=2, page_token=token))
        listed += [worker.worker_id for worker in page.workers]
        token = page.next_page_token
    assert (listed, token) == (["w1", "w2", "w3", "w4", "w5"], "")
    assert not (await mesh.stub.ListWorkers(pb.ListWorkersRequest(queue="gpu-queue"))).workers
    assert not (await mesh.stub.ListWorkers(pb.ListWorkersRequest(state=pb.WORKER_STATE_SUSPECT))).workers
    healthy = await mesh.stub.ListWorkers(pb.ListWorkersRequest(queue="default", state=pb.WORKER_STATE_HEALTHY))
    assert len(healthy.workers) == 5


async def test_a_deregistered_worker_is_gone(mesh: Mesh) -> None:
    """By its own token, or by an operator; a second time there is nothing to remove."""
    token = (await mesh.register("w1")).session_token
    await mesh.register("w2")
    await mesh.stub.DeregisterWorker(
        pb.DeregisterWorkerRequest(worker_id="w1", instance_id="i1", session_token=token, reason="drained")
    )
    await mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w2"))
    assert not (await mesh.stub.ListWorkers(pb.ListWorkersRequest())).workers
    code, error = await refusal(mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w2")))
    assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_a_worker_says_how_its_machine_is_doing_and_what_its_short_names_stand_for(mesh: Mesh) -> None:
    spec = small_spec("w1")
    spec.model_aliases["opus"] = "claude-opus-5-5"
    request = pb.RegisterWorkerRequest(spec=spec, instance_id="i1")
    token = (await mesh.stub.RegisterWorker(request)).session_token
    vitals = pb.Vitals(memory_available=1, memory_total=2, disk_free=3, disk_total=4)
    await mesh.stub.Heartbeat(pb.HeartbeatRequest(worker_id="w1", instance_id="i1", session_token=token, vitals=vitals))
    worker = (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker
    assert (worker.vitals, dict(worker.spec.model_aliases)) == (vitals, {"opus": "claude-opus-5-5"})


@pytest.mark.parametrize("fixture", ["sqlite_url", "postgres_url"])
async def test_workers_survive_a_restart_of_the_registry(
    request: pytest.FixtureRequest, clock: FakeClock, fixture: str
) -> None:
    """Known under the same instance and session, with the operator's wishes and a fresh grace."""
    settings = Settings(database_url=request.getfixturevalue(fixture))
    async with running(settings, clock) as mesh:
        token = (await mesh.register()).session_token
        await mesh.stub.UpdateWorker(
            pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("concurrency", "weight"), concurrency=9, weight=2.5)
        )
        await mesh.stub.Heartbeat(
            pb.HeartbeatRequest(worker_id="w1", instance_id="i1", session_token=token, active_tasks=3)
        )
    clock.advance(600)
    async with running(settings, clock) as mesh:
        worker = (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker
        assert (worker.state, worker.instance_id, worker.active_tasks) == (pb.WORKER_STATE_HEALTHY, "i1", 3)
        assert (worker.spec.concurrency, worker.spec.weight) == (9, 2.5)
        await mesh.pass_time(59)
        assert (await mesh.beat(token)).state == pb.WORKER_STATE_HEALTHY


async def test_without_its_store_the_registry_still_hears_beats(clock: FakeClock) -> None:
    """Registrations are refused with a pause to wait; beats, reads and watches go on."""
    store = FakeWorkerStore()
    registry = Registry(store, FakeRoutingStore(), clock, HealthPolicy())
    server = MeshServer(Listen(port=0, stop_grace=0.5), TimeOrderedIds(clock))
    add_RegistryServiceServicer_to_server(
        RegistryServicer(registry, HealthPolicy(), (), a_standing("registry", clock)), server.server
    )
    server.serve([SERVICE], registry.stop_watches)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        mesh = Mesh(server, channel, RegistryServiceStub(channel), clock)
        token = (await mesh.register()).session_token
        store.down = True
        code, error = await refusal(mesh.register("w2"))
        assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        assert isinstance(error, Unavailable)
        assert error.retry_after == 1.0
        assert (await mesh.beat(token)).state == pb.WORKER_STATE_HEALTHY
        assert (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker.worker_id == "w1"
        await server.stop()


async def test_routers_can_check_a_session_by_its_digest(mesh: Mesh) -> None:
    """The watch carries SHA-256 of the token that the worker was given."""
    token = (await mesh.register()).session_token
    watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest(router_id="r1"))
    _, _, event = [await watch.read() for _ in range(3)]
    assert isinstance(event, pb.WatchWorkersResponse)
    assert event.snapshot.workers[0].session_digest == hashlib.sha256(token.encode()).hexdigest()
    watch.cancel()


async def test_a_drain_with_a_deadline_is_told_counted_down_and_remembered(clock: FakeClock, sqlite_url: str) -> None:
    """To the operator, in every answer to a beat, and after a restart of the Registry."""
    settings = Settings(database_url=sqlite_url)
    async with running(settings, clock) as mesh:
        token = (await mesh.register()).session_token
        deadline = Duration(seconds=90)
        update = pb.UpdateWorkerRequest(
            worker_id="w1",
            update_mask=mask("availability", "drain_deadline"),
            availability=pb.AVAILABILITY_DRAINING,
            drain_deadline=deadline,
        )
        worker = (await mesh.stub.UpdateWorker(update)).worker
        assert worker.drain_deadline_at.ToDatetime(tzinfo=UTC) == clock.now() + timedelta(seconds=90)
        assert (await mesh.beat(token)).drain_deadline == deadline
    clock.advance(30)
    async with running(settings, clock) as mesh:
        assert (await mesh.beat(token)).drain_deadline == Duration(seconds=60)
        opened = pb.UpdateWorkerRequest(
            worker_id="w1", update_mask=mask("availability"), availability=pb.AVAILABILITY_OPEN
        )
        assert not (await mesh.stub.UpdateWorker(opened)).worker.HasField("drain_deadline_at")
        assert not (await mesh.beat(token)).HasField("drain_deadline")


async def test_a_reported_link_shows_in_the_worker(mesh: Mesh) -> None:
    """With reason, countdown and Router; unknown workers are passed over."""
    await mesh.register()
    link = pb.WorkerLink(worker_id="w1", instance_id="i1", connected=True)
    await mesh.stub.ReportLinks(pb.ReportLinksRequest(router_id="router-1", links=[link]))
    worker = (await mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker
    assert (worker.state, worker.router_id) == (pb.WORKER_STATE_HEALTHY, "router-1")
    gone = [
        pb.WorkerLink(worker_id="nobody", instance_id="i1"),
        pb.WorkerLink(worker_id="w1", instance_id="i1", running=2, given_up_in=Duration(nanos=500_000_000)),
    ]
    await mesh.stub.ReportLinks(pb.ReportLinksRequest(router_id="router-1", links=gone))
    suspects = await mesh.stub.ListWorkers(pb.ListWorkersRequest(state=pb.WORKER_STATE_SUSPECT))
    assert [(worker.worker_id, worker.router_id) for worker in suspects.workers] == [("w1", "")]
    assert suspects.workers[0].state_reason == (
        "its stream to router-1 broke 0 s ago; 2 tasks are given up in 1 s unless it comes back"
    )


async def test_a_frozen_fleet_is_said_with_the_list(mesh: Mesh) -> None:
    """Whichever page or filter it is."""
    for worker_id in ("a", "b", "c"):
        await mesh.register(worker_id)
    assert (await mesh.stub.ListWorkers(pb.ListWorkersRequest())).notice == ""
    await mesh.pass_time(62)
    answer = await mesh.stub.ListWorkers(pb.ListWorkersRequest(page_size=1))
    assert answer.notice == "deaths are frozen: 3 of 3 workers fell silent together"
