"""Requests: from the wire to the domain, with every violation of a request reported together."""

from collections.abc import Iterable

from devteam.mesh.durations import seconds_of
from devteam.mesh.paging import page_size, page_start
from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2 as pb
from devteam_registry.convert.checks import (
    MAX_CONCURRENCY,
    MAX_WORD,
    check_labels,
    check_local_models,
    check_mask,
    check_spec,
    check_vitals,
    check_weight,
)
from devteam_registry.convert.enums import AVAILABILITIES_BY_NUMBER, STATES_BY_NUMBER
from devteam_registry.domain import (
    Availability,
    Beat,
    Farewell,
    LocalModel,
    Location,
    PageQuery,
    Resources,
    Vitals,
    WishChange,
    WorkerQueue,
    WorkerSpec,
)

_WISHES = ("concurrency", "availability", "drain_deadline", "labels", "weight")
_LONGEST_DRAIN = 7 * 24 * 3600.0


def registration_from_proto(request: pb.RegisterWorkerRequest) -> tuple[WorkerSpec, str]:
    """The spec and instance id of a registration. Raises InvalidInput."""
    found = Violations()
    with found.at("spec"):
        check_spec(found, request.spec)
    found.name("instance_id", request.instance_id)
    found.raise_if_any()
    return spec_from_proto(request.spec), request.instance_id


def beat_from_proto(request: pb.HeartbeatRequest) -> Beat:
    """A heartbeat. Raises InvalidInput."""
    found = Violations()
    found.name("worker_id", request.worker_id)
    found.name("instance_id", request.instance_id)
    found.between("active_tasks", request.active_tasks, 0, MAX_CONCURRENCY)
    found.enum("availability", request.availability, [0, *AVAILABILITIES_BY_NUMBER])
    check_local_models(found, request.local_models)
    check_vitals(found, request.vitals)
    found.raise_if_any()
    return Beat(
        worker_id=request.worker_id,
        instance_id=request.instance_id,
        session_token=request.session_token,
        active_tasks=request.active_tasks,
        availability=AVAILABILITIES_BY_NUMBER.get(request.availability, Availability.OPEN),
        local_models=local_models_from_proto(request.local_models) if request.set_local_models else None,
        vitals=_vitals_from_proto(request.vitals) if request.HasField("vitals") else None,
    )


def farewell_from_proto(request: pb.DeregisterWorkerRequest) -> Farewell:
    """A deregistration: by the worker itself with its token, or by an operator without. Raises InvalidInput."""
    found = Violations()
    found.name("worker_id", request.worker_id)
    found.name("instance_id", request.instance_id, required=bool(request.session_token))
    if len(request.reason) > MAX_WORD:
        found.add("reason", "TEXT_TOO_LARGE", f"has {len(request.reason)} characters; at most {MAX_WORD} are allowed")
    found.raise_if_any()
    return Farewell(request.worker_id, request.instance_id, request.session_token, request.reason)


def worker_id_from_proto(request: pb.GetWorkerRequest) -> str:
    """The worker asked for. Raises InvalidInput."""
    found = Violations()
    found.name("worker_id", request.worker_id)
    found.raise_if_any()
    return request.worker_id


def page_from_proto(request: pb.ListWorkersRequest, whose: str) -> PageQuery:
    """The page asked for, as a tenant sees it. Raises InvalidInput."""
    found = Violations()
    found.name("queue", request.queue, required=False)
    found.enum("state", request.state, [0, *STATES_BY_NUMBER])
    found.raise_if_any()
    return PageQuery(
        after=page_start(request.page_token),
        size=page_size(request.page_size, default=100, limit=1_000),
        queue=request.queue,
        state=STATES_BY_NUMBER.get(request.state),
        whose=whose,
    )


def wishes_from_proto(request: pb.UpdateWorkerRequest) -> tuple[str, WishChange]:
    """The worker to update and the wishes that the mask names. Raises InvalidInput."""
    found = Violations()
    found.name("worker_id", request.worker_id)
    paths = check_mask(found, request.update_mask, _WISHES)
    if "concurrency" in paths:
        found.between("concurrency", request.concurrency, 0, MAX_CONCURRENCY)
    if "availability" in paths and not request.availability:
        found.add("availability", "FIELD_REQUIRED", "must be OPEN, CORDONED or DRAINING")
    elif "availability" in paths:
        found.enum("availability", request.availability, list(AVAILABILITIES_BY_NUMBER))
    if "drain_deadline" in paths:
        _check_drain_deadline(found, request, draining="availability" in paths)
    if "labels" in paths:
        check_labels(found, request.labels)
    if "weight" in paths:
        check_weight(found, request.weight)
    found.raise_if_any()
    deadline = "drain_deadline" in paths and request.HasField("drain_deadline")
    return request.worker_id, WishChange(
        concurrency=request.concurrency if "concurrency" in paths else None,
        availability=AVAILABILITIES_BY_NUMBER[request.availability] if "availability" in paths else None,
        labels=dict(request.labels) if "labels" in paths else None,
        drain_within=seconds_of(request.drain_deadline) if deadline else None,
        weight=request.weight if "weight" in paths else None,
    )


def spec_from_proto(spec: pb.WorkerSpec) -> WorkerSpec:
    """A declaration that was checked."""
    return WorkerSpec(
        worker_id=spec.worker_id,
        queues=tuple(WorkerQueue(queue.name, queue.concurrency, tuple(queue.models)) for queue in spec.queues),
        concurrency=spec.concurrency,
        resources=Resources(
            gpu=spec.resources.gpu,
            gpu_model=spec.resources.gpu_model,
            ram_gb=spec.resources.ram_gb,
            cpu_cores=spec.resources.cpu_cores,
        ),
        labels=dict(spec.labels),
        location=Location(spec.location.region, spec.location.zone, spec.location.host),
        local_models=local_models_from_proto(spec.local_models),
        data_sources=tuple(spec.data_sources),
        tools=tuple(spec.tools),
        version=spec.version,
        weight=spec.weight,
        model_aliases=dict(spec.model_aliases),
    )


def _vitals_from_proto(vitals: pb.Vitals) -> Vitals:
    return Vitals(vitals.memory_available, vitals.memory_total, vitals.disk_free, vitals.disk_total)


def local_models_from_proto(models: Iterable[pb.LocalModel]) -> tuple[LocalModel, ...]:
    """Models on a worker's machine."""
    return tuple(LocalModel(model.name, model.resident, model.size_bytes) for model in models)


def _check_drain_deadline(found: Violations, request: pb.UpdateWorkerRequest, *, draining: bool) -> None:
    if not draining or request.availability != pb.AVAILABILITY_DRAINING:
        found.add("drain_deadline", "DRAIN_DEADLINE_WITHOUT_DRAINING", "goes only with an availability of DRAINING")
    found.between("drain_deadline", seconds_of(request.drain_deadline), 0, _LONGEST_DRAIN)
