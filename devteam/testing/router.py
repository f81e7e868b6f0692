"""The router of a fake mesh: queues as the test says they are."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from devteam.mesh.errors import NotFound
from devteam.models import QueueInfo, Throttle
from devteam.spec_wire import strategy_to_proto
from devteam.testing.fleet import FakeRegistry
from devteam.testing.refusals import refused, refused_stream
from devteam.testing.standings import Standings
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, router_pb2_grpc, run_pb2

_Context = Any


class FakeRouter(router_pb2_grpc.RouterServiceServicer):
    """Shows the queues and throttles that a test named. For what is submitted there is but one worker to weigh."""

    def __init__(
        self,
        queues: Iterable[QueueInfo],
        throttles: Iterable[Throttle],
        registry: FakeRegistry,
        task: Callable[[str], planner_pb2.Task],
        standings: Standings,
    ) -> None:
        self._queues = {queue.name: _queue_to_proto(queue) for queue in queues}
        self._throttles = [_throttle_to_proto(throttle) for throttle in throttles]
        self._registry = registry
        self._task = task
        self._standings = standings

    async def ListQueues(
        self, request: router_pb2.ListQueuesRequest, context: _Context
    ) -> router_pb2.ListQueuesResponse:
        """All queues; on one page."""
        queues = [self._as_wanted(queue) for _, queue in sorted(self._queues.items())]
        return router_pb2.ListQueuesResponse(queues=queues, throttles=self._throttles)

    async def GetQueue(self, request: router_pb2.GetQueueRequest, context: _Context) -> router_pb2.GetQueueResponse:
        """One queue."""
        if request.name not in self._queues:
            raise NotFound("queue", request.name)
        return router_pb2.GetQueueResponse(queue=self._as_wanted(self._queues[request.name]))

    async def Explain(self, request: router_pb2.ExplainRequest, context: _Context) -> router_pb2.ExplainResponse:
        """Where a task is that has not ended, or which workers could run one that is not submitted."""
        if request.WhichOneof("subject") == "dry_run":
            return _weighed(request.dry_run, self._registry.workers)
        task = self._task(request.task_id)
        if task.state == planner_pb2.TASK_STATE_RUNNING:
            return _running(task)
        if task.state in {planner_pb2.TASK_STATE_PENDING, planner_pb2.TASK_STATE_QUEUED}:
            return router_pb2.ExplainResponse(waiting=router_pb2.Waiting(detail="waits for the steps it depends on"))
        raise NotFound("attempt", request.task_id, message=f"no attempt of {request.task_id} waits or runs")

    async def GetRouterStatus(
        self, request: router_pb2.GetRouterStatusRequest, context: _Context
    ) -> router_pb2.GetRouterStatusResponse:
        """As the test says."""
        return router_pb2.GetRouterStatusResponse(status=self._standings.of("router"))

    AckDispatches = CancelDispatch = ShareThrottle = refused
    Dispatch = refused_stream

    def _as_wanted(self, queue: router_pb2.Queue) -> router_pb2.Queue:
        policy = self._registry.queue_policy(queue.name)
        wanted = router_pb2.Queue()
        wanted.CopyFrom(queue)
        wanted.paused = queue.paused or policy.paused
        wanted.strategy = policy.strategy or queue.strategy
        return wanted


def _running(task: planner_pb2.Task) -> router_pb2.ExplainResponse:
    worker = router_pb2.WorkerInstance(worker_id=task.worker_id)
    decision = router_pb2.Decision(queue=task.queue, reason=task.placement_reason, eligible=1, tied=1)
    candidate = router_pb2.Candidate(worker_id=task.worker_id, active=1, capacity=1, queue=task.queue, alike=1)
    assigned = router_pb2.Assigned(worker=worker, decision=decision)
    return router_pb2.ExplainResponse(assigned=assigned, candidates=[candidate])


def _weighed(run: run_pb2.Run, workers: Iterable[registry_pb2.Worker]) -> router_pb2.ExplainResponse:
    """Every worker with the first thing that it lacks; as long as one lacks nothing, the run need not wait."""
    queue = run.queue or next(iter(run.placement.preferred_queues), "default")
    candidates = [
        router_pb2.Candidate(
            worker_id=worker.worker_id,
            rejected_because=_lack(worker.spec, run, queue),
            active=worker.active_tasks,
            capacity=worker.spec.concurrency,
            queue=queue,
            alike=1,
        )
        for worker in workers
    ]
    response = router_pb2.ExplainResponse(candidates=sorted(candidates, key=lambda one: bool(one.rejected_because)))
    if all(candidate.rejected_because for candidate in candidates):
        response.waiting.reason = router_pb2.WAIT_REASON_NO_WORKER_MEETS_REQUIREMENTS
        response.waiting.detail = f"none of {len(candidates)} workers has what the run requires; start one that does"
        response.waiting.queue = queue
    return response


def _lack(spec: registry_pb2.WorkerSpec, run: run_pb2.Run, queue: str) -> str:
    served = next((served for served in spec.queues if served.name == queue), None)
    if served is None:
        return f"does not serve {queue}"
    needs, machine = run.placement.requirements, spec.resources
    checks = (
        (served.models and not any(fnmatchcase(run.model, model) for model in served.models), f"serves no {run.model}"),
        ((needs.gpu or needs.gpu_model) and not machine.gpu, "has no GPU"),
        (needs.gpu_model.lower() not in machine.gpu_model.lower(), f"its GPU is no {needs.gpu_model}"),
        (needs.min_ram_gb > machine.ram_gb, f"has {machine.ram_gb:g} GB of {needs.min_ram_gb:g}"),
        (needs.min_cpu_cores > machine.cpu_cores, f"has {machine.cpu_cores} cores of {needs.min_cpu_cores}"),
        (not needs.labels.items() <= spec.labels.items(), "its labels differ"),
        (not set(needs.data_sources) <= set(spec.data_sources), "lacks a data source"),
        (not set(run.tools) <= set(spec.tools), "lacks a tool"),
    )
    return next((words for lacks, words in checks if lacks), "")


def _queue_to_proto(queue: QueueInfo) -> router_pb2.Queue:
    message = router_pb2.Queue(
        name=queue.name,
        waiting=queue.waiting,
        running=queue.running,
        slots=queue.slots,
        workers=queue.workers,
        paused=queue.paused,
        strategy=strategy_to_proto("strategy", queue.strategy),
    )
    if queue.oldest_waiting_since is not None:
        message.oldest_waiting_since.FromDatetime(queue.oldest_waiting_since)
    return message


def _throttle_to_proto(throttle: Throttle) -> router_pb2.Throttle:
    message = router_pb2.Throttle(model=throttle.model, reason=throttle.reason, waiting=throttle.waiting)
    message.until.FromDatetime(throttle.until)
    return message
