"""Workers, queues and how tasks are placed, from the contract's messages. Pure functions, named by direction."""

from collections.abc import Iterable
from datetime import UTC

from devteam.models import (
    Availability,
    Candidate,
    Explanation,
    QueueInfo,
    Throttle,
    Vitals,
    WaitReason,
    WorkerInfo,
    WorkerStatus,
)
from devteam.scalars import duration_from_proto, member_from_proto, moment_from_proto
from devteam.spec_wire import strategy_from_proto
from devteam.v1 import registry_pb2, router_pb2


def worker_from_proto(worker: registry_pb2.Worker) -> WorkerInfo:
    """The worker, its state and availability put together into one status."""
    spec, machine = worker.spec, worker.spec.resources
    return WorkerInfo(
        id=worker.worker_id,
        status=_status(worker.state, worker.availability),
        status_reason=worker.state_reason,
        next_status=_worker_state(worker.next_state) if worker.next_state else None,
        next_status_at=moment_from_proto(worker, "next_state_time"),
        active_tasks=worker.active_tasks,
        concurrency=spec.concurrency or sum(queue.concurrency for queue in spec.queues),
        queues=tuple(queue.name for queue in spec.queues),
        models=_served_models(spec.queues),
        local_models=tuple(model.name for model in spec.local_models),
        tools=tuple(spec.tools),
        data_sources=tuple(spec.data_sources),
        labels=dict(spec.labels),
        gpu=machine.gpu,
        gpu_model=machine.gpu_model,
        ram_gb=machine.ram_gb,
        cpu_cores=machine.cpu_cores,
        version=spec.version,
        registered_at=moment_from_proto(worker, "registered_at"),
        last_heartbeat=moment_from_proto(worker, "last_heartbeat_at"),
        uptime=worker.uptime.ToTimedelta(),
        availability=_availability(worker.availability),
        drain_deadline_at=moment_from_proto(worker, "drain_deadline_at"),
        router_id=worker.router_id,
        weight=spec.weight or 1.0,
        model_aliases=dict(spec.model_aliases),
        vitals=_vitals(worker.vitals) if worker.HasField("vitals") else None,
        resident_models=tuple(model.name for model in spec.local_models if model.resident),
    )


def _vitals(vitals: registry_pb2.Vitals) -> Vitals:
    return Vitals(
        memory_available=vitals.memory_available,
        memory_total=vitals.memory_total,
        disk_free=vitals.disk_free,
        disk_total=vitals.disk_total,
    )


def availability_to_proto(availability: Availability | None) -> "registry_pb2.Availability.ValueType":
    """The contract's value; UNSPECIFIED for None."""
    if availability is None:
        return registry_pb2.AVAILABILITY_UNSPECIFIED
    return registry_pb2.Availability.Value(f"AVAILABILITY_{availability.name}")


def queue_from_proto(queue: router_pb2.Queue) -> QueueInfo:
    """The queue as it was when the answer was made."""
    return QueueInfo(
        name=queue.name,
        waiting=queue.waiting,
        running=queue.running,
        slots=queue.slots,
        workers=queue.workers,
        oldest_waiting_since=moment_from_proto(queue, "oldest_waiting_since"),
        paused=queue.paused,
        strategy=strategy_from_proto(queue.strategy),
    )


def throttle_from_proto(throttle: router_pb2.Throttle) -> Throttle:
    """The model that is kept waiting, and until when."""
    until = throttle.until.ToDatetime(tzinfo=UTC)
    return Throttle(model=throttle.model, until=until, reason=throttle.reason, waiting=throttle.waiting)


def explanation_from_proto(response: router_pb2.ExplainResponse) -> Explanation:
    """Why a task waits or runs where it does; with neither, it could start now."""
    candidates = tuple(map(_candidate, response.candidates))
    match response.WhichOneof("answer"):
        case "assigned":
            return _placed(response.assigned, candidates)
        case "waiting":
            return _waiting(response.waiting, candidates)
    return Explanation(reason="", candidates=candidates)


def _placed(assigned: router_pb2.Assigned, candidates: tuple[Candidate, ...]) -> Explanation:
    decision = assigned.decision
    return Explanation(
        reason=decision.reason,
        queue=decision.queue,
        worker_id=assigned.worker.worker_id,
        candidates=candidates,
        strategy=strategy_from_proto(decision.strategy),
        eligible=decision.eligible,
        tied=decision.tied,
        waited=duration_from_proto(decision, "waited"),
    )


def _waiting(waiting: router_pb2.Waiting, candidates: tuple[Candidate, ...]) -> Explanation:
    return Explanation(
        reason=waiting.detail,
        queue=waiting.queue,
        candidates=candidates,
        wait_reason=member_from_proto(WaitReason, router_pb2.WaitReason.Name, waiting.reason, "WAIT_REASON_"),
        until=moment_from_proto(waiting, "until"),
    )


def _candidate(candidate: router_pb2.Candidate) -> Candidate:
    return Candidate(
        worker_id=candidate.worker_id,
        rejected_because=candidate.rejected_because,
        active=candidate.active,
        capacity=candidate.capacity,
        score=candidate.score,
        merits=candidate.merits,
        queue=candidate.queue,
        alike=candidate.alike or 1,
    )


def _status(
    state: "registry_pb2.WorkerState.ValueType", availability: "registry_pb2.Availability.ValueType"
) -> WorkerStatus:
    status = _worker_state(state)
    if status is not WorkerStatus.HEALTHY:  # what is silent matters more than what it was told
        return status
    wish = _availability(availability)
    return status if wish is Availability.OPEN else WorkerStatus(wish)


def _availability(availability: "registry_pb2.Availability.ValueType") -> Availability:
    wishes = {
        registry_pb2.AVAILABILITY_CORDONED: Availability.CORDONED,
        registry_pb2.AVAILABILITY_DRAINING: Availability.DRAINING,
    }
    return wishes.get(availability, Availability.OPEN)


def _worker_state(state: "registry_pb2.WorkerState.ValueType") -> WorkerStatus:
    return member_from_proto(WorkerStatus, registry_pb2.WorkerState.Name, state, "WORKER_STATE_")


def _served_models(queues: Iterable[registry_pb2.WorkerQueue]) -> tuple[str, ...]:
    lists = [list(queue.models) for queue in queues]
    if not all(lists):  # a queue without patterns serves every model
        return ()
    return tuple(dict.fromkeys(model for models in lists for model in models))
