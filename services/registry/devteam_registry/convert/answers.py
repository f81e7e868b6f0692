"""Answers: from the domain to the wire."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.durations import duration_of
from devteam.mesh.paging import page_token
from devteam.v1 import registry_pb2 as pb
from devteam_registry.convert.enums import AVAILABILITIES, STATES
from devteam_registry.convert.routing import routing_to_proto
from devteam_registry.domain import (
    Change,
    Changed,
    Orders,
    Page,
    Registration,
    Removed,
    RouterList,
    Snapshot,
    Vitals,
    WorkerSpec,
    WorkerView,
)
from devteam_registry.health import HealthPolicy
from devteam_registry.routing import Routing


def registration_to_proto(
    registration: Registration, policy: HealthPolicy, router_addresses: Iterable[str]
) -> pb.RegisterWorkerResponse:
    """The answer to a registration."""
    return pb.RegisterWorkerResponse(
        worker=worker_to_proto(registration.view),
        session_token=registration.session_token,
        policy=policy_to_proto(policy),
        router_addresses=router_addresses,
    )


def orders_to_proto(orders: Orders, router_addresses: Iterable[str]) -> pb.HeartbeatResponse:
    """The answer to a heartbeat."""
    return pb.HeartbeatResponse(
        state=STATES[orders.state],
        heartbeat_interval=duration_of(orders.heartbeat_interval),
        availability=AVAILABILITIES[orders.availability],
        concurrency=orders.concurrency,
        drain_deadline=None if orders.drain_rest is None else duration_of(orders.drain_rest),
        router_addresses=router_addresses,
    )


def page_to_proto(page: Page) -> pb.ListWorkersResponse:
    """A page of the list."""
    last = page.views[-1].worker.worker_id if page.more else ""
    return pb.ListWorkersResponse(
        workers=[worker_to_proto(view) for view in page.views], next_page_token=page_token(last), notice=page.notice
    )


def event_to_proto(event: Snapshot | Change, *, is_router: bool) -> pb.WatchWorkersResponse:
    """What a watcher is told; only a Router may know what proves a worker's session."""
    match event:
        case Snapshot():
            records = [record_to_proto(view, is_router=is_router) for view in event.views]
            return pb.WatchWorkersResponse(snapshot=pb.WorkerSnapshot(workers=records, complete=event.complete))
        case Changed():
            return pb.WatchWorkersResponse(changed=record_to_proto(event.view, is_router=is_router))
        case Removed():
            removal = pb.WorkerRemoval(worker_id=event.worker_id, instance_id=event.instance_id, reason=event.reason)
            return pb.WatchWorkersResponse(removed=removal)
        case Routing():
            return pb.WatchWorkersResponse(routing=routing_to_proto(event))
        case RouterList():
            return pb.WatchWorkersResponse(routers=router_list_to_proto(event))
        case _:
            assert_never(event)


def router_list_to_proto(listed: RouterList) -> pb.RouterList:
    """The Routers that are alive."""
    return pb.RouterList(
        routers=[pb.RouterRecord(router_id=router.router_id, address=router.address) for router in listed.routers]
    )


def record_to_proto(view: WorkerView, *, is_router: bool) -> pb.WorkerRecord:
    """A worker, for Routers with what only they may know."""
    digest = view.worker.session_digest if is_router else ""
    return pb.WorkerRecord(worker=worker_to_proto(view), session_digest=digest)


def worker_to_proto(view: WorkerView) -> pb.Worker:
    """A worker as anyone may see it."""
    worker, health = view.worker, view.health
    return pb.Worker(
        worker_id=worker.worker_id,
        instance_id=worker.instance_id,
        spec=spec_to_proto(worker.effective_spec),
        state=STATES[health.state],
        state_reason=health.words,
        next_state=STATES[health.next_state] if health.next_state else pb.WORKER_STATE_UNSPECIFIED,
        next_state_time=_timestamp(view.next_state_at) if view.next_state_at else None,
        availability=AVAILABILITIES[worker.availability],
        active_tasks=worker.active_tasks,
        registered_at=_timestamp(worker.registered_at),
        last_heartbeat_at=_timestamp(worker.last_heartbeat_at),
        uptime=duration_of(view.uptime),
        drain_deadline_at=_timestamp(worker.wishes.drain_until) if worker.wishes.drain_until else None,
        router_id=view.router_id,
        vitals=_vitals_to_proto(worker.vitals) if worker.vitals else None,
        tenant=worker.owner.tenant,
    )


def _vitals_to_proto(vitals: Vitals) -> pb.Vitals:
    return pb.Vitals(
        memory_available=vitals.memory_available,
        memory_total=vitals.memory_total,
        disk_free=vitals.disk_free,
        disk_total=vitals.disk_total,
    )


def spec_to_proto(spec: WorkerSpec) -> pb.WorkerSpec:
    """A declaration."""
    return pb.WorkerSpec(
        worker_id=spec.worker_id,
        queues=[
            pb.WorkerQueue(name=queue.name, concurrency=queue.concurrency, models=queue.models) for queue in spec.queues
        ],
        concurrency=spec.concurrency,
        resources=pb.Resources(
            gpu=spec.resources.gpu,
            gpu_model=spec.resources.gpu_model,
            ram_gb=spec.resources.ram_gb,
            cpu_cores=spec.resources.cpu_cores,
        ),
        labels=spec.labels,
        location=pb.Location(region=spec.location.region, zone=spec.location.zone, host=spec.location.host),
        local_models=[
            pb.LocalModel(name=model.name, resident=model.resident, size_bytes=model.size_bytes)
            for model in spec.local_models
        ],
        data_sources=spec.data_sources,
        tools=spec.tools,
        model_aliases=spec.model_aliases,
        version=spec.version,
        weight=spec.weight,
    )


def policy_to_proto(policy: HealthPolicy) -> pb.HealthPolicy:
    """The published timings."""
    return pb.HealthPolicy(
        heartbeat_interval=duration_of(policy.heartbeat_interval),
        unhealthy_after=duration_of(policy.unhealthy_after),
        lost_after=duration_of(policy.lost_after),
        deregister_after=duration_of(policy.deregister_after),
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
