"""Everything that is wrong with a request, said at once."""

import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import registry_pb2 as pb
from tests.rpc.registry.mesh import Mesh, mask, refusal, small_spec, violations


def changed(change: Callable[[pb.WorkerSpec], object]) -> pb.RegisterWorkerRequest:
    spec = small_spec()
    change(spec)
    return pb.RegisterWorkerRequest(spec=spec, instance_id="i1")


def weighed(weight: float) -> pb.UpdateWorkerRequest:
    return pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("weight"), weight=weight)


def drain(availability: pb.Availability.ValueType, seconds: int) -> pb.UpdateWorkerRequest:
    return pb.UpdateWorkerRequest(
        worker_id="w1",
        update_mask=mask("availability", "drain_deadline"),
        availability=availability,
        drain_deadline=Duration(seconds=seconds),
    )


async def test_an_empty_registration_says_all_that_is_missing(mesh: Mesh) -> None:
    assert await violations(mesh.stub.RegisterWorker(pb.RegisterWorkerRequest())) == {
        ("spec.worker_id", "FIELD_REQUIRED"),
        ("spec.queues", "FIELD_REQUIRED"),
        ("instance_id", "FIELD_REQUIRED"),
    }


async def test_every_violation_is_reported_with_its_path(mesh: Mesh) -> None:
    """Lists are indexed, nested fields are dotted."""
    spec = pb.WorkerSpec(
        worker_id="has a space",
        queues=[
            pb.WorkerQueue(name="a", concurrency=1),
            pb.WorkerQueue(name="a", concurrency=0, models=["opus", ""]),
            pb.WorkerQueue(name="b/c", concurrency=2**31 - 1),
        ],
        concurrency=-1,
        resources=pb.Resources(gpu_model="x\x00", ram_gb=math.nan, cpu_cores=-1),
        labels={"sp ace": "v", "ok": "v" * 256},
        weight=math.inf,
        location=pb.Location(zone="z" * 257),
        local_models=[pb.LocalModel(name="", size_bytes=-1)],
        tools=[""],
    )
    request = pb.RegisterWorkerRequest(spec=spec, instance_id="i" * 129)
    assert await violations(mesh.stub.RegisterWorker(request)) == {
        ("spec.worker_id", "ID_FORMAT"),
        ("spec.queues[1].name", "QUEUE_DUPLICATE"),
        ("spec.queues[1].concurrency", "OUT_OF_BOUNDS"),
        ("spec.queues[1].models[1]", "FIELD_REQUIRED"),
        ("spec.queues[2].name", "ID_FORMAT"),
        ("spec.queues[2].concurrency", "OUT_OF_BOUNDS"),
        ("spec.concurrency", "OUT_OF_BOUNDS"),
        ("spec.resources.gpu_model", "TEXT_FORBIDDEN_CHAR"),
        ("spec.resources.ram_gb", "OUT_OF_BOUNDS"),
        ("spec.resources.cpu_cores", "OUT_OF_BOUNDS"),
        ("spec.labels", "LABEL_KEY_FORMAT"),
        ("spec.labels", "TEXT_TOO_LARGE"),
        ("spec.location.zone", "TEXT_TOO_LARGE"),
        ("spec.local_models[0].name", "FIELD_REQUIRED"),
        ("spec.local_models[0].size_bytes", "OUT_OF_BOUNDS"),
        ("spec.tools[0]", "FIELD_REQUIRED"),
        ("spec.weight", "OUT_OF_BOUNDS"),
        ("instance_id", "ID_FORMAT"),
    }
    assert not (await mesh.stub.ListWorkers(pb.ListWorkersRequest())).workers


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda spec: spec.queues.extend(pb.WorkerQueue(name=f"q{n}", concurrency=1) for n in range(64)),
            ("spec.queues", "TOO_MANY"),
        ),
        (lambda spec: spec.queues[0].models.extend(["opus"] * 257), ("spec.queues[0].models", "TOO_MANY")),
        (lambda spec: spec.labels.update({f"k{n}": "v" for n in range(64)}), ("spec.labels", "TOO_MANY")),
        (lambda spec: spec.labels.update({"k": "\x00"}), ("spec.labels", "TEXT_FORBIDDEN_CHAR")),
        (lambda spec: spec.labels.update({"k" * 64: "v"}), ("spec.labels", "LABEL_KEY_FORMAT")),
        (lambda spec: spec.tools.extend(["t"] * 1001), ("spec.tools", "TOO_MANY")),
        (
            lambda spec: spec.local_models.extend([pb.LocalModel(name="m")] * 1001),
            ("spec.local_models", "TOO_MANY"),
        ),
    ],
)
async def test_bounds_of_lists_are_kept(
    mesh: Mesh, change: Callable[[pb.WorkerSpec], object], expected: tuple[str, str]
) -> None:
    """One entry over the bound is refused."""
    assert await violations(mesh.stub.RegisterWorker(changed(change))) == {expected}


async def test_a_beat_is_checked(mesh: Mesh) -> None:
    """Ids, bounds and enums."""
    request = pb.HeartbeatRequest(
        worker_id="",
        instance_id="a b",
        active_tasks=10_001,
        availability=99,  # type: ignore[arg-type]  # a number that a newer client may send
        local_models=[pb.LocalModel(name="x" * 257)],
        vitals=pb.Vitals(memory_available=-1),
    )
    assert await violations(mesh.stub.Heartbeat(request)) == {
        ("worker_id", "FIELD_REQUIRED"),
        ("instance_id", "ID_FORMAT"),
        ("active_tasks", "OUT_OF_BOUNDS"),
        ("availability", "UNKNOWN_ENUM"),
        ("local_models[0].name", "TEXT_TOO_LARGE"),
        ("vitals.memory_available", "OUT_OF_BOUNDS"),
    }


async def test_a_farewell_is_checked(mesh: Mesh) -> None:
    """With a token, the instance is needed too."""
    request = pb.DeregisterWorkerRequest(worker_id="", session_token="t", reason="r" * 257)
    assert await violations(mesh.stub.DeregisterWorker(request)) == {
        ("worker_id", "FIELD_REQUIRED"),
        ("instance_id", "FIELD_REQUIRED"),
        ("reason", "TEXT_TOO_LARGE"),
    }


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.ListWorkersRequest(page_size=-1), {("page_size", "OUT_OF_BOUNDS")}),
        (pb.ListWorkersRequest(page_size=1001), {("page_size", "OUT_OF_BOUNDS")}),
        (pb.ListWorkersRequest(page_token="forged"), {("page_token", "PAGE_TOKEN_INVALID")}),
        (
            pb.ListWorkersRequest(queue="a b", state=77),  # type: ignore[arg-type]  # a number that has no name yet
            {("queue", "ID_FORMAT"), ("state", "UNKNOWN_ENUM")},
        ),
    ],
)
async def test_a_query_is_checked(mesh: Mesh, request_: pb.ListWorkersRequest, expected: set[tuple[str, str]]) -> None:
    assert await violations(mesh.stub.ListWorkers(request_)) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.UpdateWorkerRequest(worker_id="w1", concurrency=4), {("update_mask", "FIELD_MASK_INVALID")}),
        (
            pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("concurrency", "spec.version")),
            {("update_mask", "FIELD_MASK_INVALID")},
        ),
        (
            pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("concurrency"), concurrency=10_001),
            {("concurrency", "OUT_OF_BOUNDS")},
        ),
        (
            pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("availability")),
            {("availability", "FIELD_REQUIRED")},
        ),
        (
            pb.UpdateWorkerRequest(worker_id="", update_mask=mask("labels"), labels={"": "v"}),
            {("worker_id", "FIELD_REQUIRED"), ("labels", "LABEL_KEY_FORMAT")},
        ),
        (
            pb.UpdateWorkerRequest(
                worker_id="w1", update_mask=mask("drain_deadline"), availability=pb.AVAILABILITY_DRAINING
            ),
            {("drain_deadline", "DRAIN_DEADLINE_WITHOUT_DRAINING")},
        ),
        (weighed(0.009), {("weight", "OUT_OF_BOUNDS")}),
        (weighed(100.1), {("weight", "OUT_OF_BOUNDS")}),
        (weighed(-1), {("weight", "OUT_OF_BOUNDS")}),
        (weighed(math.nan), {("weight", "OUT_OF_BOUNDS")}),
        (drain(pb.AVAILABILITY_CORDONED, 60), {("drain_deadline", "DRAIN_DEADLINE_WITHOUT_DRAINING")}),
        (drain(pb.AVAILABILITY_DRAINING, -1), {("drain_deadline", "OUT_OF_BOUNDS")}),
        (drain(pb.AVAILABILITY_DRAINING, 7 * 86_400 + 1), {("drain_deadline", "OUT_OF_BOUNDS")}),
        (drain(pb.AVAILABILITY_DRAINING, 2**62), {("drain_deadline", "OUT_OF_BOUNDS")}),
    ],
)
async def test_an_update_is_checked(
    mesh: Mesh, request_: pb.UpdateWorkerRequest, expected: set[tuple[str, str]]
) -> None:
    """The mask names what is meant; only that is looked at."""
    await mesh.register()
    assert await violations(mesh.stub.UpdateWorker(request_)) == expected


async def test_a_report_of_links_is_checked(mesh: Mesh) -> None:
    """Ids and bounds, each link by its index."""
    links = [pb.WorkerLink(worker_id="w1", instance_id="i1"), pb.WorkerLink(worker_id="a b", running=10_001)]
    assert await violations(mesh.stub.ReportLinks(pb.ReportLinksRequest(links=links))) == {
        ("router_id", "FIELD_REQUIRED"),
        ("links[1].worker_id", "ID_FORMAT"),
        ("links[1].instance_id", "FIELD_REQUIRED"),
        ("links[1].running", "OUT_OF_BOUNDS"),
    }
    many = pb.ReportLinksRequest(router_id="router-1", links=links[:1] * 1001)
    assert await violations(mesh.stub.ReportLinks(many)) == {("links", "TOO_MANY")}


async def test_an_unknown_worker_is_not_found(mesh: Mesh) -> None:
    """To read and to update."""
    update = pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("labels"))
    for call in (mesh.stub.GetWorker(pb.GetWorkerRequest(worker_id="w1")), mesh.stub.UpdateWorker(update)):
        code, error = await refusal(call)
        assert (code, error.reason, error.message) == (
            grpc.StatusCode.NOT_FOUND,
            "RESOURCE_NOT_FOUND",
            "no worker named 'w1'",
        )


async def test_bytes_that_are_no_message_are_refused(mesh: Mesh) -> None:
    """Neither an internal error nor a word of the parser's."""
    raw: Any = mesh.channel.unary_unary("/devteam.v1.RegistryService/Heartbeat")
    assert await violations(raw(b"\xff\xff\xff")) == {("", "MALFORMED_MESSAGE")}
