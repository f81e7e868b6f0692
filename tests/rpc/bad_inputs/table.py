"""Sixty bad inputs, and what each is answered with. docs/errors.md shows the table; tests beside this send each row."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_DETAILS = (error_details_pb2.QuotaFailure, error_details_pb2.ResourceInfo, error_details_pb2.RetryInfo)


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent, and the answer: a status, a reason, and what else it names: fields, or kinds of details."""

    number: int
    sent: str
    status: str
    reason: str = ""
    tells: str = ""
    # Why it is so, where that is not plain.
    because: str = ""

    @property
    def answer(self) -> tuple[str, str, str]:
        """As `answer_to` reads it from the wire."""
        return self.status, self.reason, self.tells


_BAD, _GONE, _FULL, _AWAY = "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNAVAILABLE"

ROWS: Final = (
    Row(1, "a plan whose steps wait in a circle", _BAD, "PLAN_CYCLE", "steps[0].depends_on", "the sentence shows it"),
    Row(2, "a step that depends on itself", _BAD, "PLAN_SELF_DEPENDENCY", "steps[0].depends_on"),
    Row(3, "dependencies that are no steps", _BAD, "PLAN_UNKNOWN_STEP", "steps[0].depends_on", "each of them is told"),
    Row(4, "a step id given twice", _BAD, "PLAN_DUPLICATE_ID", "steps[1].id", "ids are ASCII: no two only look alike"),
    Row(5, "a template that names no step of the plan", _BAD, "TEMPLATE_UNKNOWN_STEP", "steps[0].prompt"),
    Row(6, "a template that names a step which is not upstream", _BAD, "TEMPLATE_NOT_ANCESTOR", "steps[1].prompt"),
    Row(
        7,
        "a template that is never closed, nested, or asks for another field",
        _BAD,
        "TEMPLATE_SYNTAX",
        "steps[0].prompt",
    ),
    Row(8, "a template with code in it", _BAD, "TEMPLATE_SYNTAX", "steps[0].prompt"),
    Row(9, "an output that looks like a template", "OK", because="put in as it is, and never looked at again"),
    Row(10, "no steps, or an empty prompt", _BAD, "FIELD_REQUIRED", "steps[0].prompt"),
    Row(11, "501 steps", _BAD, "PLAN_TOO_LARGE", "steps"),
    Row(12, "a prompt over 256 KiB", _BAD, "PROMPT_TOO_LARGE", "steps[0].prompt"),
    Row(
        13,
        "outputs that make a later prompt too large",
        "OK",
        because="the step ends FAILED, PROMPT_TOO_LARGE, and burns no attempt",
    ),
    Row(14, "a request over 4 MiB", _FULL, because="gRPC's own answer, before there is a handler"),
    Row(15, "a message over 4 MiB on a worker's stream", _FULL, because="gRPC's own; workers pack at most 256 KiB"),
    Row(16, "a gzip bomb", _FULL, because="gRPC's own: it stops at 4 MiB"),
    Row(17, "bytes that are no UTF-8 in a text", _BAD, "MALFORMED_MESSAGE"),
    Row(18, "half a message", _BAD, "MALFORMED_MESSAGE"),
    Row(19, "messages in messages, 200 deep", _BAD, "MALFORMED_MESSAGE"),
    Row(
        20,
        "a plan file of JSON, 100,000 deep",
        _BAD,
        "FILE_SYNTAX",
        because="read by the command; services read no JSON",
    ),
    Row(
        21,
        "a plan file of YAML with a bomb of aliases, or a tag of Python",
        _BAD,
        "FILE_TOO_LARGE",
        because="a tag is FILE_SYNTAX",
    ),
    Row(22, "NUL in a text", _BAD, "TEXT_FORBIDDEN_CHAR", "task.prompt", "half a surrogate is row 17"),
    Row(23, "an id that is too long, or of other characters", _BAD, "ID_FORMAT", "task_id"),
    Row(
        24, "a negative time limit, NaN, a Duration out of its bounds", _BAD, "OUT_OF_BOUNDS", "task.policy.run_timeout"
    ),
    Row(25, "a deadline that has passed", "DEADLINE_EXCEEDED", because="at the caller: nothing is sent"),
    Row(26, "2,147,483,647 slots", _BAD, "OUT_OF_BOUNDS", "spec.concurrency"),
    Row(27, "a number that the enum has no name for", _BAD, "UNKNOWN_ENUM", "task.placement.strategy"),
    Row(28, "a field of a newer contract", "OK", because="ignored"),
    Row(
        29,
        "a page token that was made up",
        _BAD,
        "PAGE_TOKEN_INVALID",
        "page_token",
        "page_size below 0 is OUT_OF_BOUNDS, a mask FIELD_MASK_INVALID",
    ),
    Row(
        30,
        "a watch from past the end",
        "OUT_OF_RANGE",
        "SEQ_OUT_OF_RANGE",
        because="its metadata says `latest`; nothing is trimmed",
    ),
    Row(
        31,
        "a task that no worker can run",
        "OK",
        because="it waits and says why, for as long as its schedule_timeout; there is no fail_fast",
    ),
    Row(32, "no key", "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
    Row(
        33,
        "a wrong, expired or revoked key, or a token of another make",
        "UNAUTHENTICATED",
        "CREDENTIALS_INVALID",
        because="one sentence for all; the log tells which",
    ),
    Row(34, "a client's key for a worker's call, or the reverse", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
    Row(
        35,
        "another tenant's task, plan or worker",
        _GONE,
        "RESOURCE_NOT_FOUND",
        "ResourceInfo",
        "as what does not exist, byte for byte",
    ),
    Row(36, "the id of another key's worker", "PERMISSION_DENIED", "WORKER_ID_BOUND"),
    Row(37, "a second stream of the same worker", "ABORTED", "SESSION_SUPERSEDED", because="the older one ends so"),
    Row(
        38,
        "a beat of an instance that was followed by another",
        "ABORTED",
        "INSTANCE_SUPERSEDED",
        because="an instance is what others call an epoch",
    ),
    Row(
        39,
        "words about an attempt that was followed by another",
        "OK",
        because="in the stream: `cancel`, FENCED; the stream goes on",
    ),
    Row(
        40,
        "a report about a task that was never the worker's",
        "OK",
        because="in the stream: `cancel`, FENCED; the log says NOT_ASSIGNED",
    ),
    Row(
        41,
        "tokens twice, or with a gap",
        "OK",
        because="in the stream: the first is ignored, the second is asked for with `resume`",
    ),
    Row(
        42,
        "tokens after the report, or a second report",
        "OK",
        because="in the stream: the report counts once, tokens are answered `cancel`",
    ),
    Row(43, "a message before `attach`, or a second `attach`", "FAILED_PRECONDITION", "PROTOCOL_ORDER"),
    Row(44, "a stream that says nothing", "DEADLINE_EXCEEDED", "ATTACH_TIMEOUT"),
    Row(
        45,
        "a beat of a worker that has left",
        _GONE,
        "WORKER_NOT_REGISTERED",
        "ResourceInfo",
        "the worker registers again",
    ),
    Row(46, "a create sent again with its request_id", "OK", because="the same task"),
    Row(47, "another create with that request_id", "ALREADY_EXISTS", "REQUEST_ID_REUSED"),
    Row(48, "the same create five times at once", "OK", because="one task"),
    Row(49, "a cancel of what has ended", "OK", because="as it ended; what does not exist is NOT_FOUND"),
    Row(50, "more calls than a key may make", _FULL, "RATE_LIMITED", "QuotaFailure, RetryInfo"),
    Row(51, "more tasks than a queue may have open", _FULL, "QUEUE_FULL", "QuotaFailure, RetryInfo"),
    Row(52, "a call to a server that goes down", _AWAY, "DRAINING", "RetryInfo", "a full disk is STORAGE_UNAVAILABLE"),
    Row(
        53,
        "a watch of workers that is not read",
        _FULL,
        "SLOW_CONSUMER",
        "RetryInfo",
        "watches of tasks have no bound: they read the log",
    ),
    Row(
        54, "a peer that is gone without a word", _AWAY, because="found by pings within 15 s; nobody is left to read it"
    ),
    Row(55, "more streams than a key may have open", _FULL, "STREAM_LIMIT", "QuotaFailure, RetryInfo"),
    Row(56, "pings every 10 s", "OK", because="allowed: gRPC's own servers would cut the line"),
    Row(57, "metadata over 16 KiB", _FULL, because="gRPC's own answer"),
    Row(58, "a method that does not exist", "UNIMPLEMENTED", because="plain text to a TLS port is UNAVAILABLE"),
    Row(
        59,
        "the address of a model or a web hook in a task",
        "OK",
        because="no such field: addresses are settings of the worker's machine",
    ),
    Row(
        60,
        "control characters in an output",
        "OK",
        because="kept as they are, and left out where a terminal shows them",
    ),
)

_BY_NUMBER = {entry.number: entry for entry in ROWS}


def row(number: int) -> Row:
    """A row of the table."""
    return _BY_NUMBER[number]


async def answer_to(call: Awaitable[Any]) -> tuple[str, str, str]:
    """What a call is answered with: status, reason, and the fields, or else the kinds of details, that it names."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return (error.code().name, *_told(error))
    return "OK", "", ""


def _told(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError will do
    reason, fields, kinds = "", dict[str, None](), list[str]()
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            fields |= {violation.field: None for violation in bad.field_violations if violation.field}
        kinds += [kind.DESCRIPTOR.name for kind in _DETAILS if detail.Is(kind.DESCRIPTOR)]
    return reason, ", ".join(fields or sorted(kinds))


def as_page() -> str:
    """The table as docs/errors.md has it."""
    head = ["| | what is sent | status | reason | names | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(_line, ROWS)])


def _line(entry: Row) -> str:
    shown = (f"`{text}`" if text else "" for text in (entry.status, entry.reason, entry.tells))
    cells = [str(entry.number), entry.sent, *shown, re.sub(r"\b([A-Z]+_[A-Z_]+)\b", r"`\1`", entry.because)]
    return f"| {' | '.join(cells)} |"
