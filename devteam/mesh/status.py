"""The one table between domain errors and gRPC statuses, read in both directions."""

from collections.abc import Sequence
from typing import TypeAlias

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from devteam.mesh import errors, handshake

DOMAIN = "devteam"

# Details and message (that one twice) travel in the trailers, all in all: gRPC breaks streams off whose trailers have
# more than 8 KiB, above that now and then, above 16 KiB always. Sizes as written into a header, see `_cut`.
_MAX_MESSAGE = 1_500
_MAX_VALUE = 256
_MAX_VIOLATIONS = 3_000

_CODES: tuple[tuple[type[errors.DevTeamError], int], ...] = (
    (errors.InvalidInput, code_pb2.INVALID_ARGUMENT),
    (errors.NotFound, code_pb2.NOT_FOUND),
    (errors.AlreadyExists, code_pb2.ALREADY_EXISTS),
    (errors.FailedPrecondition, code_pb2.FAILED_PRECONDITION),
    (errors.Aborted, code_pb2.ABORTED),
    (errors.OutOfRange, code_pb2.OUT_OF_RANGE),
    (errors.Unauthenticated, code_pb2.UNAUTHENTICATED),
    (errors.PermissionDenied, code_pb2.PERMISSION_DENIED),
    (errors.ResourceExhausted, code_pb2.RESOURCE_EXHAUSTED),
    (errors.Unavailable, code_pb2.UNAVAILABLE),
    (errors.DeadlineExceeded, code_pb2.DEADLINE_EXCEEDED),
    (errors.Internal, code_pb2.INTERNAL),
)
_Detail: TypeAlias = (
    error_details_pb2.BadRequest
    | error_details_pb2.ResourceInfo
    | error_details_pb2.RetryInfo
    | error_details_pb2.QuotaFailure
)
_BY_CODE = {code: kind for kind, code in _CODES}


def to_status(error: errors.DevTeamError) -> grpc.Status:
    """The status that tells a caller about `error`, with ErrorInfo and whatever else fits."""
    status = status_pb2.Status(code=_code_of(error), message=_cut(error.message, _MAX_MESSAGE))
    facts = {key: _cut(value, _MAX_VALUE) for key, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    for detail in (info, *_details(error)):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    converted: grpc.Status = rpc_status.to_status(status)
    return converted


def code_name(error: errors.DevTeamError) -> str:
    """The status that a caller sees, by its name: "NOT_FOUND"."""
    name: str = code_pb2.Code.Name(_code_of(error))
    return name


def from_rpc(error: grpc.RpcError) -> errors.DevTeamError:
    """The domain error that a failed call stands for; never raises."""
    status = _rich_status(error)
    code, message = _code_and_message(error)
    if status is None:
        return _plain(code, message)
    info, violations, retry_after = _read(status)
    kind = _BY_CODE.get(status.code, errors.Internal)
    metadata = dict(info.metadata)
    if kind is errors.InvalidInput:
        return errors.InvalidInput(
            *(errors.Violation(v.field, v.reason or info.reason, v.description) for v in violations), metadata=metadata
        )
    if kind is errors.NotFound:
        name = metadata.get("name", "")
        return errors.NotFound(metadata.get("kind", "resource"), name, reason=info.reason, message=status.message)
    if issubclass(kind, errors.ResourceExhausted | errors.Unavailable):
        return kind(status.message, reason=info.reason, retry_after=retry_after, metadata=metadata)
    return kind(status.message, reason=info.reason, metadata=metadata)


def _code_of(error: errors.DevTeamError) -> "code_pb2.Code.ValueType":
    return next((code for kind, code in _CODES if isinstance(error, kind)), code_pb2.INTERNAL)


def _details(error: errors.DevTeamError) -> list[_Detail]:
    match error:
        case errors.InvalidInput():
            return [_bad_request(error.violations)]
        case errors.NotFound():
            return [
                error_details_pb2.ResourceInfo(resource_type=error.kind, resource_name=_cut(error.name, _MAX_VALUE))
            ]
        case errors.ResourceExhausted() | errors.Unavailable():
            return [_retry_info(error.retry_after), *_quota(error)]
    return []


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(int(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _quota(error: errors.DevTeamError) -> list[error_details_pb2.QuotaFailure]:
    """Whose bound was reached, where the error says so."""
    if "subject" not in error.metadata:
        return []
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=_cut(error.metadata["subject"], _MAX_VALUE), description=_cut(error.message, 512)
    )
    return [error_details_pb2.QuotaFailure(violations=[violation])]


def _bad_request(violations: Sequence[errors.Violation]) -> error_details_pb2.BadRequest:
    """As many violations as fit; the last one then says how many more there are."""
    bad = error_details_pb2.BadRequest()
    for index, violation in enumerate(violations):
        bad.field_violations.add(
            field=_cut(violation.field, _MAX_VALUE), reason=violation.reason, description=_cut(violation.message, 512)
        )
        if bad.ByteSize() > _MAX_VIOLATIONS:
            more = len(violations) - index
            del bad.field_violations[-1]
            bad.field_violations.add(reason="MORE_VIOLATIONS", description=f"and {more} more")
            break
    return bad


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of a header, where a byte of anything but plain ASCII takes three."""
    size = fits = 0
    for character in text:
        size += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode())
        if size > limit:
            return f"{text[:fits]}..."
        fits += size <= limit - 3
    return text


def _rich_status(error: grpc.RpcError) -> status_pb2.Status | None:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError will do
    except ValueError:  # details that contradict the status: somebody else's server
        return None
    return status


def _code_and_message(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    if isinstance(error, grpc.Call):
        return error.code(), error.details() or ""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code(), error.details() or ""
    return grpc.StatusCode.UNKNOWN, str(error)


def _plain(code: grpc.StatusCode, message: str) -> errors.DevTeamError:
    kind = _BY_CODE.get(code.value[0], errors.Internal)
    if kind is errors.InvalidInput:
        return errors.InvalidInput(errors.Violation("", "INVALID_ARGUMENT", message))
    if kind is errors.NotFound:
        return errors.NotFound("resource", "", message=message)
    return kind(handshake.in_words(message), reason=code.name)


def _read(
    status: status_pb2.Status,
) -> tuple[error_details_pb2.ErrorInfo, list[error_details_pb2.BadRequest.FieldViolation], float]:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for target in (info, bad, retry):
            if detail.Is(target.DESCRIPTOR):
                detail.Unpack(target)
    return info, list(bad.field_violations), retry.retry_delay.ToMilliseconds() / 1000
