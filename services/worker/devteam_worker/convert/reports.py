"""How an attempt ended, as a message."""

from google.protobuf import duration_pb2

from devteam.v1 import run_pb2
from devteam_worker.domain import Cancelled, Completed, Failed, HandBackReason, HandedBack
from devteam_worker.providers.base import Usage
from devteam_worker.words import Report

_HAND_BACKS = {
    HandBackReason.DRAINING: run_pb2.HAND_BACK_REASON_DRAINING,
    HandBackReason.RATE_LIMITED: run_pb2.HAND_BACK_REASON_RATE_LIMITED,
}


def report_to_proto(word: Report) -> run_pb2.Report:
    """The last word about an attempt."""
    report = run_pb2.Report(task_id=word.id.task_id, attempt=word.id.number, last_seq=word.last_seq)
    match word.outcome:
        case Completed() as outcome:
            report.completion.CopyFrom(_completion_to_proto(outcome))
        case Failed() as outcome:
            report.failure.CopyFrom(_failure_to_proto(outcome))
        case Cancelled() as outcome:
            report.cancellation.CopyFrom(_cancellation_to_proto(outcome))
        case HandedBack() as outcome:
            report.hand_back.CopyFrom(_hand_back_to_proto(outcome))
    return report


def _cancellation_to_proto(outcome: Cancelled) -> run_pb2.Cancellation:
    took = None if outcome.took is None else _duration(outcome.took)
    return run_pb2.Cancellation(took=took, usage=_known_to_proto(outcome.usage))


def _hand_back_to_proto(outcome: HandedBack) -> run_pb2.HandBack:
    hand_back = run_pb2.HandBack(
        reason=_HAND_BACKS[outcome.reason],
        message=outcome.message,
        provider=outcome.provider,
        usage=_known_to_proto(outcome.usage),
    )
    if outcome.retry_after is not None:
        hand_back.retry_after.CopyFrom(_duration(outcome.retry_after))
    return hand_back


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
        usage=_known_to_proto(outcome.usage),
    )
    if outcome.retry_after is not None:
        failure.retry_after.CopyFrom(_duration(outcome.retry_after))
    return failure


def _known_to_proto(usage: Usage) -> run_pb2.Usage | None:
    return None if usage == Usage() else _usage_to_proto(usage)


def _usage_to_proto(usage: Usage) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_usd=usage.cost_usd,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
