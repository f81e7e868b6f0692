"""Runs on their way to the Router, and what it says about them on the way back."""

from collections.abc import Iterable
from datetime import datetime
from math import isfinite

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict

from devteam.mesh.durations import duration_of, seconds_of
from devteam.v1 import router_pb2, run_pb2
from devteam_planner.acks import Ack
from devteam_planner.domain import (
    Batch,
    Cancelled,
    Completion,
    Failure,
    FailureReason,
    Generation,
    GivenBack,
    HandedBack,
    Outcome,
    Placement,
    Requirements,
    Run,
    Usage,
    WorkerInstance,
)
from devteam_planner.ports import RunAssigned, RunCancelling, RunEvent, RunLost, RunReport, RunTokens, RunWaiting

_LONGEST_TEXT = 4_000
_LONGEST_SECONDS = 24 * 3600.0
_REASONS = {run_pb2.FailureReason.Value(f"FAILURE_REASON_{reason.name}"): reason for reason in FailureReason}

_GIVEN_BACK = {
    run_pb2.HAND_BACK_REASON_DRAINING: GivenBack.DRAINING,
    run_pb2.HAND_BACK_REASON_RATE_LIMITED: GivenBack.RATE_LIMITED,
}


def dispatch_to_proto(
    run: Run, *, last_seq: int, assigned: WorkerInstance | None, now: datetime
) -> router_pb2.DispatchRequest:
    """The request that begins, or goes on with, one attempt, made at `now`."""
    return router_pb2.DispatchRequest(
        run=run_to_proto(run, now),
        last_seq=last_seq,
        assigned=router_pb2.WorkerInstance(worker_id=assigned.worker_id, instance_id=assigned.instance_id)
        if assigned
        else None,
    )


def acks_to_proto(acks: Iterable[Ack]) -> router_pb2.AckDispatchesRequest:
    """What is stored of many attempts."""
    return router_pb2.AckDispatchesRequest(
        acks=[
            router_pb2.DispatchAck(task_id=ack.task_id, attempt=ack.attempt, seq=ack.seq, report=ack.report)
            for ack in acks
        ]
    )


def run_to_proto(run: Run, now: datetime) -> run_pb2.Run:
    """One attempt for the Router, dispatched at `now`."""
    task, spec = run.task, run.task.spec
    message = run_pb2.Run(
        task_id=task.task_id,
        attempt=task.attempt,
        plan_id=task.plan_id,
        step_id=task.step_id,
        prompt=run.prompt,
        system_prompt=run.system_prompt,
        model=spec.model,
        queue=spec.queue,
        tools=spec.tools,
        placement=placement_to_proto(spec.placement),
        generation=generation_to_proto(spec.generation),
        run_timeout=duration_of(spec.policy.run_timeout),
        trace_context=dict(run.trace_context),
        tenant=task.tenant,
    )
    if run.schedule_deadline is not None:
        message.schedule_deadline.FromDatetime(run.schedule_deadline)
        message.schedule_within.FromTimedelta(run.schedule_deadline - now)
    return message


def placement_to_proto(placement: Placement) -> run_pb2.Placement:
    """Where a run may go."""
    return run_pb2.Placement(
        requirements=requirements_to_proto(placement.requirements),
        strategy=run_pb2.Strategy.Value(f"STRATEGY_{placement.strategy or 'UNSPECIFIED'}"),
        priority=placement.priority,
        near_data_source=placement.near_data_source,
        preferred_queues=placement.preferred_queues,
    )


def requirements_to_proto(requirements: Requirements) -> run_pb2.Requirements:
    """What a worker must have."""
    return run_pb2.Requirements(
        gpu=requirements.gpu,
        gpu_model=requirements.gpu_model,
        min_ram_gb=requirements.min_ram_gb,
        min_cpu_cores=requirements.min_cpu_cores,
        labels=dict(requirements.labels),
        data_sources=requirements.data_sources,
    )


def generation_to_proto(generation: Generation) -> run_pb2.Generation:
    """How the model is asked."""
    message = run_pb2.Generation(
        max_tokens=generation.max_tokens, effort=generation.effort, max_turns=generation.max_turns
    )
    if generation.options:
        ParseDict(dict(generation.options), message.options)
    return message


def event_from_proto(message: router_pb2.DispatchResponse) -> RunEvent | None:
    """What the Router says about a run; None for what the Planner has no use for."""
    match message.WhichOneof("event"):
        case "waiting":
            return _waiting_from_proto(message.waiting)
        case "assigned":
            return _assigned_from_proto(message.assigned)
        case "tokens":
            return RunTokens(batch_from_proto(message.tokens))
        case "cancelling":
            return RunCancelling(_worker_from_proto(message.cancelling.worker))
        case "report":
            return RunReport(outcome_from_proto(message.report), message.report.last_seq)
        case "lost":
            lost = message.lost
            return RunLost(_worker_from_proto(lost.worker), _storable(lost.message), lost.never_began)
        case _:
            return None


def batch_from_proto(tokens: run_pb2.Tokens, *, after: int = 0) -> Batch:
    """The tokens with a seq above `after`."""
    if skipped := max(0, after + 1 - tokens.first_seq):
        tokens = run_pb2.Tokens(
            task_id=tokens.task_id,
            attempt=tokens.attempt,
            first_seq=tokens.first_seq + skipped,
            tokens=tokens.tokens[skipped:],
        )
    return Batch(tokens.first_seq, tokens.first_seq + len(tokens.tokens) - 1, tokens.SerializeToString())


def outcome_from_proto(report: run_pb2.Report) -> Outcome:
    """How a run ended; one that does not say so has failed through a defect of its worker."""
    match report.WhichOneof("outcome"):
        case "completion":
            return completion_from_proto(report.completion)
        case "failure":
            return failure_from_proto(report.failure)
        case "cancellation":
            usage = _usage_from_proto(report.cancellation.usage)
            return Cancelled(_seconds(report.cancellation, "took"), usage)
        case "hand_back":
            return _handed_back_from_proto(report.hand_back)
        case _:
            return Failure(FailureReason.INTERNAL, "the worker reported an end without an outcome", retryable=True)


def completion_from_proto(completion: run_pb2.Completion) -> Completion:
    """A run that came to its end."""
    return Completion(
        provider=_storable(completion.provider),
        model=_storable(completion.model),
        stop_reason=_storable(completion.stop_reason),
        usage=_usage_from_proto(completion.usage),
        time_to_first_token=_seconds(completion, "time_to_first_token") or 0.0,
    )


def _usage_from_proto(usage: run_pb2.Usage) -> Usage:
    known = usage.HasField("cost_usd") and isfinite(usage.cost_usd) and usage.cost_usd >= 0
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_usd=usage.cost_usd if known else None,
    )


def failure_from_proto(failure: run_pb2.Failure) -> Failure:
    """A run that failed; a reason that this version does not know counts as INTERNAL."""
    return Failure(
        reason=_REASONS.get(failure.reason, FailureReason.INTERNAL),
        message=_storable(failure.message),
        retryable=failure.retryable,
        retry_after=_seconds(failure, "retry_after"),
        usage=_usage_from_proto(failure.usage),
    )


def _handed_back_from_proto(hand_back: run_pb2.HandBack) -> HandedBack:
    limited = hand_back.reason == run_pb2.HAND_BACK_REASON_RATE_LIMITED
    return HandedBack(
        message=_storable(hand_back.message),
        retry_after=_seconds(hand_back, "retry_after"),
        provider=_storable(hand_back.provider) if limited else "",
        reason=_GIVEN_BACK.get(hand_back.reason, GivenBack.UNKNOWN),
        usage=_usage_from_proto(hand_back.usage),
    )


def _waiting_from_proto(waiting: router_pb2.Waiting) -> RunWaiting | None:
    if waiting.reason == router_pb2.WAIT_REASON_WORKER_RECONNECTING:
        return None  # it has a worker, and waits for nobody else
    if waiting.detail or waiting.reason not in router_pb2.WaitReason.values():
        return RunWaiting(_storable(waiting.detail or "waiting"))
    name = router_pb2.WaitReason.Name(waiting.reason)
    return RunWaiting(name.removeprefix("WAIT_REASON_").replace("_", " ").lower())


def _assigned_from_proto(assigned: router_pb2.Assigned) -> RunAssigned:
    return RunAssigned(
        worker=_worker_from_proto(assigned.worker),
        queue=assigned.decision.queue,
        reason=_storable(assigned.decision.reason),
        adopted=assigned.adopted,
    )


def _worker_from_proto(worker: router_pb2.WorkerInstance) -> WorkerInstance:
    return WorkerInstance(worker.worker_id, worker.instance_id)


def _storable(text: str) -> str:
    """What a worker or a provider said, cut to a length to show, and without the one character PostgreSQL refuses."""
    return text[:_LONGEST_TEXT].replace("\x00", "\ufffd")


def _seconds(
    message: run_pb2.Completion | run_pb2.Failure | run_pb2.Cancellation | run_pb2.HandBack, field: str
) -> float | None:
    if field not in {descriptor.name for descriptor, _ in message.ListFields()}:
        return None
    value: Duration = getattr(message, field)
    # Whatever a worker claims, nothing here lasts longer than a day.
    return min(max(0.0, seconds_of(value)), _LONGEST_SECONDS)
