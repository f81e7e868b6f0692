"""Between the messages of a stream to a Router and the worker's nouns."""

from collections.abc import Sequence

from google.protobuf import json_format

from devteam.v1 import run_pb2, worker_pb2
from devteam_worker.convert.reports import report_to_proto
from devteam_worker.desk import RejectReason
from devteam_worker.domain import Assignment, AttemptId, Declaration, Occupied
from devteam_worker.in_hand import InHand
from devteam_worker.providers.base import Progress, Prompt, Text, Thinking, Token, ToolCall, ToolResult
from devteam_worker.words import Accepted, Beat, Offer, Rejected, Released, Report, Spoken, Word

_DEFAULT_TIMEOUT = 3600.0
_REJECTIONS = {
    RejectReason.BUSY: worker_pb2.REJECT_REASON_BUSY,
    RejectReason.DRAINING: worker_pb2.REJECT_REASON_DRAINING,
    RejectReason.NOT_SERVED: worker_pb2.REJECT_REASON_NOT_SERVED,
}


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
        max_turns=run.generation.max_turns,
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


def attempt_from_proto(
    message: worker_pb2.TokensAck | worker_pb2.Cancel | worker_pb2.Resume | worker_pb2.ReportAck,
) -> AttemptId:
    """Which attempt a word is about."""
    return AttemptId(message.task_id, message.attempt)


def attach_to_proto(
    declaration: Declaration, session_token: str, in_hand: Sequence[InHand], occupied: Occupied
) -> worker_pb2.ConnectRequest:
    """The first word on a stream."""
    attach = worker_pb2.Attach(
        worker_id=declaration.worker_id,
        instance_id=declaration.instance_id,
        session_token=session_token,
        running=[_in_hand_to_proto(item) for item in in_hand],
        occupied=_occupied_to_proto(occupied) if occupied.total else None,
    )
    return worker_pb2.ConnectRequest(attach=attach)


def word_to_proto(word: Word) -> worker_pb2.ConnectRequest:
    """Any other word."""
    match word:
        case Beat(number):
            return worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=number))
        case Occupied():
            return worker_pb2.ConnectRequest(occupied=_occupied_to_proto(word))
        case Offer(items):
            offer = worker_pb2.Offer(running=[_in_hand_to_proto(item) for item in items])
            return worker_pb2.ConnectRequest(offer=offer)
        case Spoken(attempt, first_seq, tokens):
            return worker_pb2.ConnectRequest(tokens=_tokens_to_proto(attempt, first_seq, tokens))
        case Report():
            return worker_pb2.ConnectRequest(report=report_to_proto(word))
        case _:
            return _answer_to_proto(word)


def _answer_to_proto(word: Accepted | Rejected | Released) -> worker_pb2.ConnectRequest:
    task_id, attempt = word.id.task_id, word.id.number
    match word:
        case Accepted():
            return worker_pb2.ConnectRequest(accepted=worker_pb2.Accepted(task_id=task_id, attempt=attempt))
        case Released():
            return worker_pb2.ConnectRequest(released=worker_pb2.Released(task_id=task_id, attempt=attempt))
        case Rejected(_, reason, message):
            rejected = worker_pb2.Rejected(
                task_id=task_id, attempt=attempt, reason=_REJECTIONS[reason], message=message
            )
            return worker_pb2.ConnectRequest(rejected=rejected)


def _in_hand_to_proto(item: InHand) -> worker_pb2.RunningAttempt:
    return worker_pb2.RunningAttempt(
        task_id=item.id.task_id,
        attempt=item.id.number,
        queue=item.assignment.queue,
        last_seq=item.transcript.last_seq,
        first_kept_seq=item.transcript.first_kept,
        ended=not item.running,
    )


def _occupied_to_proto(occupied: Occupied) -> worker_pb2.Occupied:
    return worker_pb2.Occupied(total=occupied.total, by_queue=occupied.by_queue)


def _tokens_to_proto(attempt: AttemptId, first_seq: int, tokens: Sequence[Token]) -> run_pb2.Tokens:
    return run_pb2.Tokens(
        task_id=attempt.task_id,
        attempt=attempt.number,
        first_seq=first_seq,
        tokens=[_token_to_proto(token) for token in tokens],
    )


def _token_to_proto(token: Token) -> run_pb2.Token:
    match token:
        case Text(text):
            return run_pb2.Token(text=text)
        case Thinking(text):
            return run_pb2.Token(thinking=text)
        case Progress(text):
            return run_pb2.Token(progress=text)
        case ToolCall(call_id, name, arguments):
            return run_pb2.Token(tool_call=run_pb2.ToolCall(call_id=call_id, name=name, arguments=arguments))
        case ToolResult(call_id, content, is_error, source):
            result = run_pb2.ToolResult(call_id=call_id, content=content, is_error=is_error, source=source)
            return run_pb2.Token(tool_result=result)
