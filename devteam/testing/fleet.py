"""The registry and the router of a fake mesh: workers and queues as the test says they are."""

from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.errors import FailedPrecondition, NotFound
from devteam.models import QueueInfo, WorkerInfo, WorkerStatus
from devteam.v1 import planner_pb2, registry_pb2, registry_pb2_grpc, router_pb2, router_pb2_grpc
from devteam.wire import availability_to_proto

_Context = Any
_WISHES = {
    WorkerStatus.CORDONED: registry_pb2.AVAILABILITY_CORDONED,
    WorkerStatus.DRAINING: registry_pb2.AVAILABILITY_DRAINING,
}


async def _refuse(_servicer: object, _request: Any, _context: _Context) -> Any:
    """Answer a call that clients have no business with."""
    raise FailedPrecondition("a fake mesh does not answer this call", reason="FAKE_MESH")


async def _refuse_stream(_servicer: object, _request: Any, _context: _Context) -> AsyncGenerator[Any, None]:
    """Answer a stream that clients have no business with."""
    raise FailedPrecondition("a fake mesh does not answer this call", reason="FAKE_MESH")
    yield  # makes it the async generator that a stream has to be


_refused: Any = _refuse
_refused_stream: Any = _refuse_stream


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows the workers that a test named, and what operators want of them; a worker leaves when the test says so."""

    def __init__(self, workers: Iterable[WorkerInfo], notice: str) -> None:
        self._workers = {worker.id: _worker_to_proto(worker) for worker in workers}
        self._notice = notice

    def remove(self, worker_id: str) -> None:
        """Know it no longer. Raises NotFound."""
        self._worker(worker_id)
        del self._workers[worker_id]

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
            for _, worker in sorted(self._workers.items())
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
                    worker.spec.labels.update(request.labels)
        if "drain_deadline" in request.update_mask.paths:
            worker.drain_deadline_at.FromDatetime(datetime.now(UTC) + request.drain_deadline.ToTimedelta())
        return registry_pb2.UpdateWorkerResponse(worker=worker)

    RegisterWorker = Heartbeat = DeregisterWorker = ReportLinks = _refused
    WatchWorkers = _refused_stream

    def _worker(self, worker_id: str) -> registry_pb2.Worker:
        if worker_id not in self._workers:
            raise NotFound("worker", worker_id)
        return self._workers[worker_id]


class FakeRouter(router_pb2_grpc.RouterServiceServicer):
    """Shows the queues that a test named, and finds nothing to weigh: there is one worker."""

    def __init__(self, queues: Iterable[QueueInfo], task: Callable[[str], planner_pb2.Task]) -> None:
        self._queues = {queue.name: _queue_to_proto(queue) for queue in queues}
        self._task = task

    async def ListQueues(
        self, request: router_pb2.ListQueuesRequest, context: _Context
    ) -> router_pb2.ListQueuesResponse:
        """All queues; on one page."""
        return router_pb2.ListQueuesResponse(queues=[queue for _, queue in sorted(self._queues.items())])

    async def GetQueue(self, request: router_pb2.GetQueueRequest, context: _Context) -> router_pb2.GetQueueResponse:
        """One queue."""
        if request.name not in self._queues:
            raise NotFound("queue", request.name)
        return router_pb2.GetQueueResponse(queue=self._queues[request.name])

    async def Explain(self, request: router_pb2.ExplainRequest, context: _Context) -> router_pb2.ExplainResponse:
        """Where a task is that has not ended."""
        task = self._task(request.task_id)
        if task.state == planner_pb2.TASK_STATE_RUNNING:
            worker = router_pb2.WorkerInstance(worker_id=task.worker_id)
            decision = router_pb2.Decision(queue=task.queue, reason=task.placement_reason, eligible=1)
            candidates = [router_pb2.Candidate(worker_id=task.worker_id, active=1, capacity=1)]
            assigned = router_pb2.Assigned(worker=worker, decision=decision)
            return router_pb2.ExplainResponse(assigned=assigned, candidates=candidates)
        if task.state in {planner_pb2.TASK_STATE_PENDING, planner_pb2.TASK_STATE_QUEUED}:
            return router_pb2.ExplainResponse(waiting=router_pb2.Waiting(detail="waits for the steps it depends on"))
        raise NotFound("attempt", request.task_id, message=f"no attempt of {request.task_id} waits or runs")

    AckDispatches = CancelDispatch = _refused
    Dispatch = _refused_stream


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
        local_models=[registry_pb2.LocalModel(name=name) for name in worker.local_models],
        data_sources=worker.data_sources,
        tools=worker.tools,
        version=worker.version,
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
    )
    message.uptime.FromTimedelta(worker.uptime)
    if worker.next_status is not None:
        message.next_state = _state_to_proto(worker.next_status)
    _set_moment(message.next_state_time, worker.next_status_at)
    _set_moment(message.registered_at, worker.registered_at)
    _set_moment(message.last_heartbeat_at, worker.last_heartbeat)
    _set_moment(message.drain_deadline_at, worker.drain_deadline_at)
    return message


def _state_to_proto(status: WorkerStatus) -> "registry_pb2.WorkerState.ValueType":
    if status in {WorkerStatus.CORDONED, WorkerStatus.DRAINING}:
        return registry_pb2.WORKER_STATE_HEALTHY
    if status is WorkerStatus.UNKNOWN:
        return registry_pb2.WORKER_STATE_UNSPECIFIED
    return registry_pb2.WorkerState.Value(f"WORKER_STATE_{status.name}")


def _queue_to_proto(queue: QueueInfo) -> router_pb2.Queue:
    message = router_pb2.Queue(
        name=queue.name, waiting=queue.waiting, running=queue.running, slots=queue.slots, workers=queue.workers
    )
    _set_moment(message.oldest_waiting_since, queue.oldest_waiting_since)
    return message


def _set_moment(message: Timestamp, moment: datetime | None) -> None:
    if moment is not None:
        message.FromDatetime(moment)
