"""Between the contract's messages and the worker's nouns."""

from collections.abc import Sequence

from google.protobuf import duration_pb2, json_format

from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from devteam_worker.desk import RejectReason
from devteam_worker.domain import (
    Assignment,
    AttemptId,
    Cancelled,
    Completed,
    Declaration,
    Failed,
    HandBackReason,
    HandedBack,
    Outcome,
)
from devteam_worker.providers.base import LocalModel, Prompt, Text, Thinking, Token, ToolCall, ToolResult, Usage
from devteam_worker.runs import InHand

_DEFAULT_TIMEOUT = 3600.0
_REJECTIONS = {
    RejectReason.BUSY: worker_pb2.REJECT_REASON_BUSY,
    RejectReason.DRAINING: worker_pb2.REJECT_REASON_DRAINING,
    RejectReason.NOT_SERVED: worker_pb2.REJECT_REASON_NOT_SERVED,
}
_HAND_BACKS = {
    HandBackReason.DRAINING: run_pb2.HAND_BACK_REASON_DRAINING,
    HandBackReason.RATE_LIMITED: run_pb2.HAND_BACK_REASON_RATE_LIMITED,
}


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
    )


def local_model_to_proto(model: LocalModel) -> registry_pb2.LocalModel:
    """A model on this machine."""
    return registry_pb2.LocalModel(name=model.name, resident=model.resident, size_bytes=model.size_bytes)


def assignment_from_proto(assign: worker_pb2.Assign) -> Assignment:
    """A run as the Router gives it."""
    run = assign.run
    prompt = Prompt(
        model=run.model,
        prompt=run.prompt,
        system_prompt=run.system_prompt,
        tools=tuple(run.tools),
        max_tokens=run.generation.max_tokens,
        effort=run.generation.effort,
        options=json_format.MessageToDict(run.generation.options),
    )
    timeout = run.run_timeout.ToMilliseconds() / 1000 if run.HasField("run_timeout") else _DEFAULT_TIMEOUT
    return Assignment(
        AttemptId(run.task_id, run.attempt),
        run.plan_id,
        run.step_id,
        assign.queue,
        prompt,
        timeout,
        dict(run.trace_context),
    )


def attach_to_proto(
    declaration: Declaration, session_token: str, in_hand: Sequence[InHand]
) -> worker_pb2.ConnectRequest:
    """The first word on a stream."""
    attach = worker_pb2.Attach(
        worker_id=declaration.worker_id,
        instance_id=declaration.instance_id,
        session_token=session_token,
        running=[_in_hand_to_proto(item) for item in in_hand],
    )
    return worker_pb2.ConnectRequest(attach=attach)


def drain_deadline_from_proto(said: worker_pb2.Drain | registry_pb2.HeartbeatResponse) -> float | None:
    """How long what runs may go on, in seconds from now; None: as the worker's own settings say."""
    field = "deadline" if isinstance(said, worker_pb2.Drain) else "drain_deadline"
    length: duration_pb2.Duration = getattr(said, field)
    return length.ToNanoseconds() / 1e9 if said.HasField(field) else None  # type: ignore[arg-type]  # one of two


def _in_hand_to_proto(item: InHand) -> worker_pb2.RunningAttempt:
    return worker_pb2.RunningAttempt(
        task_id=item.id.task_id,
        attempt=item.id.number,
        queue=item.assignment.queue,
        last_seq=item.transcript.last_seq,
        first_kept_seq=item.transcript.first_kept,
        ended=not item.running,
    )


def beat_to_proto(number: int) -> worker_pb2.ConnectRequest:
    """A sign of life."""
    return worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=number))


def accepted_to_proto(attempt: AttemptId) -> worker_pb2.ConnectRequest:
    """The run has started."""
    return worker_pb2.ConnectRequest(accepted=worker_pb2.Accepted(task_id=attempt.task_id, attempt=attempt.number))


def rejected_to_proto(attempt: AttemptId, reason: RejectReason, message: str) -> worker_pb2.ConnectRequest:
    """The run was not taken."""
    rejected = worker_pb2.Rejected(
        task_id=attempt.task_id, attempt=attempt.number, reason=_REJECTIONS[reason], message=message
    )
    return worker_pb2.ConnectRequest(rejected=rejected)


def tokens_to_proto(attempt: AttemptId, first_seq: int, tokens: Sequence[Token]) -> worker_pb2.ConnectRequest:
    """More tokens."""
    batch = run_pb2.Tokens(
        task_id=attempt.task_id,
        attempt=attempt.number,
        first_seq=first_seq,
        tokens=[_token_to_proto(token) for token in tokens],
    )
    return worker_pb2.ConnectRequest(tokens=batch)


def _token_to_proto(token: Token) -> run_pb2.Token:
    match token:
        case Text(text):
            return run_pb2.Token(text=text)
        case Thinking(text):
            return run_pb2.Token(thinking=text)
        case ToolCall(call_id, name, arguments):
            return run_pb2.Token(tool_call=run_pb2.ToolCall(call_id=call_id, name=name, arguments=arguments))
        case ToolResult(call_id, content, is_error):
            return run_pb2.Token(tool_result=run_pb2.ToolResult(call_id=call_id, content=content, is_error=is_error))


def report_to_proto(attempt: AttemptId, last_seq: int, outcome: Outcome) -> worker_pb2.ConnectRequest:
    """The last word about an attempt."""
    report = run_pb2.Report(task_id=attempt.task_id, attempt=attempt.number, last_seq=last_seq)
    match outcome:
        case Completed():
            report.completion.CopyFrom(_completion_to_proto(outcome))
        case Failed():
            report.failure.CopyFrom(_failure_to_proto(outcome))
        case Cancelled(took):
            report.cancellation.SetInParent()
            if took is not None:
                report.cancellation.took.CopyFrom(_duration(took))
        case HandedBack(reason, message, retry_after):
            report.hand_back.reason = _HAND_BACKS[reason]
            report.hand_back.message = message
            if retry_after is not None:
                report.hand_back.retry_after.CopyFrom(_duration(retry_after))
    return worker_pb2.ConnectRequest(report=report)


def _completion_to_proto(outcome: Completed) -> run_pb2.Completion:
    return run_pb2.Completion(
        provider=outcome.provider,
        model=outcome.model,
        stop_reason=outcome.stop_reason,
        usage=_usage_to_proto(outcome.usage),
        time_to_first_token=_duration(outcome.time_to_first_token),
    )


def _failure_to_proto(outcome: Failed) -> run_pb2.Failure:
    failure = run_pb2.Failure(
        reason=run_pb2.FailureReason.Value(f"FAILURE_REASON_{outcome.reason.name}"),
        message=outcome.message,
        retryable=outcome.retryable,
    )
    if outcome.retry_after is not None:
        failure.retry_after.CopyFrom(_duration(outcome.retry_after))
    return failure


def _usage_to_proto(usage: Usage) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
