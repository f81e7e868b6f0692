"""The registry of a fake mesh: workers as the test says they are, and what operators want."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.fleet_wire import availability_to_proto
from devteam.mesh.errors import NotFound
from devteam.models import Vitals, WorkerInfo, WorkerStatus
from devteam.testing.audience import Audience
from devteam.testing.refusals import refused
from devteam.testing.standings import Standings
from devteam.v1 import registry_pb2, registry_pb2_grpc

_Context = Any
_WISHES = {
    WorkerStatus.CORDONED: registry_pb2.AVAILABILITY_CORDONED,
    WorkerStatus.DRAINING: registry_pb2.AVAILABILITY_DRAINING,
}


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows the workers that a test named, and what operators want of them; a worker leaves when the test says so."""

    def __init__(self, workers: Iterable[WorkerInfo], notice: str, standings: Standings) -> None:
        self._workers = {worker.id: _worker_to_proto(worker) for worker in workers}
        self._notice = notice
        self._standings = standings
        self._routing = registry_pb2.Routing()
        self._onlookers: Audience[registry_pb2.WatchWorkersResponse] = Audience()

    @property
    def workers(self) -> list[registry_pb2.Worker]:
        """All workers, in the order of their ids."""
        return [worker for _, worker in sorted(self._workers.items())]

    def queue_policy(self, name: str) -> registry_pb2.QueuePolicy:
        """What operators want of a queue; one that says nothing where they have not said."""
        policies = (policy for policy in self._routing.queues if policy.name == name)
        return next(policies, registry_pb2.QueuePolicy(name=name))

    def put(self, worker: WorkerInfo) -> None:
        """Know it as it is now."""
        self._workers[worker.id] = _worker_to_proto(worker)
        self._tell(self._workers[worker.id])

    def remove(self, worker_id: str) -> None:
        """Know it no longer. Raises NotFound."""
        gone = self._worker(worker_id)
        del self._workers[worker_id]
        removal = registry_pb2.WorkerRemoval(worker_id=worker_id, instance_id=gone.instance_id, reason="deregistered")
        self._onlookers.tell(registry_pb2.WatchWorkersResponse(removed=removal))

    async def GetWorker(
        self, request: registry_pb2.GetWorkerRequest, context: _Context
    ) -> registry_pb2.GetWorkerResponse:
        """One worker."""
        return registry_pb2.GetWorkerResponse(worker=self._worker(request.worker_id))

    async def ListWorkers(
        self, request: registry_pb2.ListWorkersRequest, context: _Context
    ) -> registry_pb2.ListWorkersResponse:
        """All workers; on one page."""
        workers = [
            worker
            for worker in self.workers
            if not request.queue or request.queue in {queue.name for queue in worker.spec.queues}
        ]
        return registry_pb2.ListWorkersResponse(workers=workers, notice=self._notice)

    async def UpdateWorker(
        self, request: registry_pb2.UpdateWorkerRequest, context: _Context
    ) -> registry_pb2.UpdateWorkerResponse:
        """Set what the mask names."""
        worker = self._worker(request.worker_id)
        for path in request.update_mask.paths:
            match path:
                case "availability":
                    worker.availability = request.availability
                    worker.ClearField("drain_deadline_at")
                case "concurrency":
                    worker.spec.concurrency = request.concurrency
                case "labels":
                    _relabel(worker.spec, request.labels)
                case "weight":
                    worker.spec.weight = request.weight
        if "drain_deadline" in request.update_mask.paths:
            worker.drain_deadline_at.FromDatetime(datetime.now(UTC) + request.drain_deadline.ToTimedelta())
        self._tell(worker)
        return registry_pb2.UpdateWorkerResponse(worker=worker)

    async def WatchWorkers(
        self, request: registry_pb2.WatchWorkersRequest, context: _Context
    ) -> AsyncGenerator[registry_pb2.WatchWorkersResponse, None]:
        """What operators want and all workers, then every change."""
        with self._onlookers.listening() as line:
            yield registry_pb2.WatchWorkersResponse(routing=self._routing)
            records = [registry_pb2.WorkerRecord(worker=worker) for worker in self.workers]
            yield registry_pb2.WatchWorkersResponse(
                snapshot=registry_pb2.WorkerSnapshot(workers=records, complete=True)
            )
            while True:
                yield await line.get()

    async def GetRouting(
        self, request: registry_pb2.GetRoutingRequest, context: _Context
    ) -> registry_pb2.GetRoutingResponse:
        """The policy; nothing of it until a test says so."""
        return registry_pb2.GetRoutingResponse(routing=self._routing)

    async def UpdateRouting(
        self, request: registry_pb2.UpdateRoutingRequest, context: _Context
    ) -> registry_pb2.UpdateRoutingResponse:
        """Replace what the mask names."""
        _replace(self._routing, request.routing, request.update_mask)
        self._tell_routing()
        return registry_pb2.UpdateRoutingResponse(routing=self._routing)

    async def UpdateQueue(
        self, request: registry_pb2.UpdateQueueRequest, context: _Context
    ) -> registry_pb2.UpdateQueueResponse:
        """Replace what the mask names, of a queue that need not exist."""
        policy = self.queue_policy(request.policy.name)
        _replace(policy, request.policy, request.update_mask)
        others = [other for other in self._routing.queues if other.name != policy.name]
        policies = sorted([*others, policy], key=lambda one: one.name)
        self._routing.ClearField("queues")
        self._routing.queues.extend(policies)
        self._tell_routing()
        return registry_pb2.UpdateQueueResponse(policy=policy)

    async def GetRegistryStatus(
        self, request: registry_pb2.GetRegistryStatusRequest, context: _Context
    ) -> registry_pb2.GetRegistryStatusResponse:
        """As the test says."""
        return registry_pb2.GetRegistryStatusResponse(status=self._standings.of("registry"))

    RegisterWorker = Heartbeat = DeregisterWorker = ReportLinks = refused

    def _tell(self, worker: registry_pb2.Worker) -> None:
        self._onlookers.tell(registry_pb2.WatchWorkersResponse(changed=registry_pb2.WorkerRecord(worker=worker)))

    def _tell_routing(self) -> None:
        self._onlookers.tell(registry_pb2.WatchWorkersResponse(routing=self._routing))

    def _worker(self, worker_id: str) -> registry_pb2.Worker:
        if worker_id not in self._workers:
            raise NotFound("worker", worker_id)
        return self._workers[worker_id]


def _relabel(spec: registry_pb2.WorkerSpec, wishes: Mapping[str, str]) -> None:
    """Put labels over those that there are; an empty value takes one away."""
    for key, value in wishes.items():
        if value:
            spec.labels[key] = value
        else:
            spec.labels.pop(key, None)


def _worker_to_proto(worker: WorkerInfo) -> registry_pb2.Worker:
    spec = registry_pb2.WorkerSpec(
        worker_id=worker.id,
        queues=[
            registry_pb2.WorkerQueue(name=name, concurrency=worker.concurrency, models=worker.models)
            for name in worker.queues
        ],
        concurrency=worker.concurrency,
        resources=registry_pb2.Resources(
            gpu=worker.gpu, gpu_model=worker.gpu_model, ram_gb=worker.ram_gb, cpu_cores=worker.cpu_cores
        ),
        labels=worker.labels,
        local_models=[
            registry_pb2.LocalModel(name=name, resident=name in worker.resident_models) for name in worker.local_models
        ],
        data_sources=worker.data_sources,
        tools=worker.tools,
        version=worker.version,
        weight=worker.weight,
    )
    message = registry_pb2.Worker(
        worker_id=worker.id,
        instance_id=f"{worker.id}-1",
        spec=spec,
        state=_state_to_proto(worker.status),
        state_reason=worker.status_reason,
        availability=_WISHES.get(worker.status, availability_to_proto(worker.availability)),
        active_tasks=worker.active_tasks,
        router_id=worker.router_id,
        vitals=_vitals_to_proto(worker.vitals),
    )
    message.uptime.FromTimedelta(worker.uptime)
    if worker.next_status is not None:
        message.next_state = _state_to_proto(worker.next_status)
    _set_moment(message.next_state_time, worker.next_status_at)
    _set_moment(message.registered_at, worker.registered_at)
    _set_moment(message.last_heartbeat_at, worker.last_heartbeat)
    _set_moment(message.drain_deadline_at, worker.drain_deadline_at)
    return message


def _vitals_to_proto(vitals: Vitals | None) -> registry_pb2.Vitals | None:
    if vitals is None:
        return None
    return registry_pb2.Vitals(
        memory_available=vitals.memory_available,
        memory_total=vitals.memory_total,
        disk_free=vitals.disk_free,
        disk_total=vitals.disk_total,
    )


def _state_to_proto(status: WorkerStatus) -> "registry_pb2.WorkerState.ValueType":
    if status in {WorkerStatus.CORDONED, WorkerStatus.DRAINING}:
        return registry_pb2.WORKER_STATE_HEALTHY
    if status is WorkerStatus.UNKNOWN:
        return registry_pb2.WORKER_STATE_UNSPECIFIED
    return registry_pb2.WorkerState.Value(f"WORKER_STATE_{status.name}")


def _replace(whole: Message, news: Message, mask: FieldMask) -> None:
    """Replace the fields that a mask names, as every update of the contract does."""
    for path in mask.paths:
        whole.ClearField(path)
    mask.MergeMessage(news, whole)


def _set_moment(message: Timestamp, moment: datetime | None) -> None:
    if moment is not None:
        message.FromDatetime(moment)
