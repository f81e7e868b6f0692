"""What Planners and operators hear, as the contract's messages."""

from datetime import datetime, timedelta

from devteam.mesh.durations import duration_of
from devteam.v1 import router_pb2, run_pb2
from devteam_router import dispatch
from devteam_router.convert.runs import STRATEGIES
from devteam_router.domain import AttemptId, Candidate, Decision, WaitReason, WorkerInstance
from devteam_router.explain import Explanation
from devteam_router.gates import Throttle
from devteam_router.queues import QueueView

_STRATEGY_NUMBERS = {name: number for number, name in STRATEGIES.items()}
_WAIT_REASONS = {reason: router_pb2.WaitReason.Value(f"WAIT_REASON_{reason.name}") for reason in WaitReason}


def event_to_proto(event: dispatch.Event, attempt: AttemptId) -> router_pb2.DispatchResponse:
    """What a Planner hears of its attempt."""
    match event:
        case dispatch.TokenBatch(payload=payload):
            assert isinstance(payload, run_pb2.Tokens)
            return router_pb2.DispatchResponse(tokens=payload)
        case dispatch.Reported() | dispatch.NeverRan():
            return router_pb2.DispatchResponse(report=_report_to_proto(event, attempt))
        case dispatch.Waits():
            return router_pb2.DispatchResponse(waiting=_waiting_to_proto(event))
        case dispatch.AssignedTo():
            return router_pb2.DispatchResponse(assigned=_assigned_to_proto(event))
        case dispatch.HasStarted():
            return router_pb2.DispatchResponse(started=router_pb2.Started())
        case dispatch.ToldToStop(worker):
            return router_pb2.DispatchResponse(cancelling=router_pb2.Cancelling(worker=_instance(worker)))
        case dispatch.WasLost(worker, message, never_began):
            lost = router_pb2.Lost(worker=_instance(worker), message=message, never_began=never_began)
            return router_pb2.DispatchResponse(lost=lost)


def _report_to_proto(event: dispatch.Reported | dispatch.NeverRan, attempt: AttemptId) -> run_pb2.Report:
    if isinstance(event, dispatch.Reported):
        assert isinstance(event.payload, run_pb2.Report)
        return event.payload
    report = run_pb2.Report(task_id=attempt.task_id, attempt=attempt.number)
    if event.cancelled:
        report.cancellation.SetInParent()
    else:
        report.failure.reason = run_pb2.FAILURE_REASON_SCHEDULE_TIMEOUT
        report.failure.message = event.message
    return report


def _waiting_to_proto(event: dispatch.Waits) -> router_pb2.Waiting:
    waiting = router_pb2.Waiting(reason=_WAIT_REASONS[event.wait.reason], detail=event.wait.detail, queue=event.queue)
    if event.wait.until is not None:
        waiting.until.FromDatetime(event.wait.until)
    return waiting


def _assigned_to_proto(event: dispatch.AssignedTo) -> router_pb2.Assigned:
    return router_pb2.Assigned(
        worker=_instance(event.worker), decision=_decision_to_proto(event.decision), adopted=event.adopted
    )


def _instance(worker: WorkerInstance) -> router_pb2.WorkerInstance:
    return router_pb2.WorkerInstance(worker_id=worker.worker_id, instance_id=worker.instance_id)


def _decision_to_proto(decision: Decision) -> router_pb2.Decision:
    return router_pb2.Decision(
        strategy=_STRATEGY_NUMBERS[decision.strategy],
        queue=decision.queue,
        reason=decision.reason,
        eligible=decision.eligible,
        waited=duration_of(decision.waited),
        tied=decision.tied,
    )


def explanation_to_proto(explanation: Explanation) -> router_pb2.ExplainResponse:
    """Why it stands as it stands."""
    response = router_pb2.ExplainResponse(candidates=[_candidate_to_proto(c) for c in explanation.candidates[:100]])
    match explanation.standing:
        case dispatch.Waits() as waits:
            response.waiting.CopyFrom(_waiting_to_proto(waits))
        case dispatch.AssignedTo() as assigned:
            response.assigned.CopyFrom(_assigned_to_proto(assigned))
    return response


def _candidate_to_proto(candidate: Candidate) -> router_pb2.Candidate:
    return router_pb2.Candidate(
        worker_id=candidate.worker.id,
        rejected_because=candidate.rejected_because,
        active=candidate.active,
        capacity=candidate.capacity,
        score=candidate.score,
        merits=candidate.merits,
        queue=candidate.queue,
        alike=candidate.alike,
    )


def queue_to_proto(view: QueueView, now: datetime) -> router_pb2.Queue:
    """A queue, with the age of its oldest run turned into a moment."""
    queue = router_pb2.Queue(
        name=view.name,
        waiting=view.waiting,
        running=view.running,
        slots=view.slots,
        workers=view.workers,
        paused=view.paused,
        strategy=_STRATEGY_NUMBERS[view.strategy],
    )
    if view.oldest_wait is not None:
        queue.oldest_waiting_since.FromDatetime(now - timedelta(seconds=view.oldest_wait))
    return queue


def throttle_to_proto(throttle: Throttle, waiting: int, now: datetime, monotonic: float) -> router_pb2.Throttle:
    """A model that has to wait."""
    message = router_pb2.Throttle(model=throttle.model, reason=throttle.reason, waiting=waiting)
    message.until.FromDatetime(now + timedelta(seconds=throttle.until - monotonic))
    return message
