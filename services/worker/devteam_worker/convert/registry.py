"""Between the Registry's messages and the worker's nouns."""

from google.protobuf import duration_pb2

from devteam.v1 import registry_pb2, worker_pb2
from devteam_worker.domain import Declaration
from devteam_worker.providers.base import LocalModel
from devteam_worker.timings import Timings
from devteam_worker.vitals import Vitals


def declaration_to_proto(declaration: Declaration) -> registry_pb2.WorkerSpec:
    """What the worker says of itself."""
    machine = declaration.machine
    return registry_pb2.WorkerSpec(
        worker_id=declaration.worker_id,
        queues=[
            registry_pb2.WorkerQueue(name=queue.name, concurrency=queue.concurrency, models=queue.models)
            for queue in declaration.queues
        ],
        concurrency=declaration.concurrency,
        resources=registry_pb2.Resources(
            gpu=machine.gpu, gpu_model=machine.gpu_model, ram_gb=machine.ram_gb, cpu_cores=machine.cpu_cores
        ),
        labels=declaration.labels,
        location=registry_pb2.Location(region=machine.region, zone=machine.zone, host=machine.host),
        local_models=[local_model_to_proto(model) for model in declaration.local_models],
        data_sources=declaration.data_sources,
        tools=declaration.tools,
        version=declaration.version,
        weight=declaration.weight,
        model_aliases=declaration.model_aliases,
    )


def local_model_to_proto(model: LocalModel) -> registry_pb2.LocalModel:
    """A model on this machine."""
    return registry_pb2.LocalModel(name=model.name, resident=model.resident, size_bytes=model.size_bytes)


def vitals_to_proto(vitals: Vitals) -> registry_pb2.Vitals:
    """How the machine is doing."""
    return registry_pb2.Vitals(
        memory_available=vitals.memory_available,
        memory_total=vitals.memory_total,
        disk_free=vitals.disk_free,
        disk_total=vitals.disk_total,
    )


def timings_from_proto(policy: registry_pb2.HealthPolicy) -> Timings:
    """When the mesh draws its consequences from silence."""
    return Timings(
        policy.heartbeat_interval.ToMilliseconds(),
        policy.unhealthy_after.ToMilliseconds(),
        policy.lost_after.ToMilliseconds(),
        policy.deregister_after.ToMilliseconds(),
    )


def drain_deadline_from_proto(said: worker_pb2.Drain | registry_pb2.HeartbeatResponse) -> float | None:
    """How long what runs may go on, in seconds from now; None: as the worker's own settings say."""
    field = "deadline" if isinstance(said, worker_pb2.Drain) else "drain_deadline"
    length: duration_pb2.Duration = getattr(said, field)
    return length.ToNanoseconds() / 1e9 if said.HasField(field) else None  # type: ignore[arg-type]  # one of two
