"""What can go wrong with a request, in words of the domain.

DevTeamError
├── InvalidInput         the request itself is wrong; says every field
├── NotFound             no such thing
├── AlreadyExists        the name is taken
├── FailedPrecondition   not in this state
├── Aborted              somebody newer took over
├── OutOfRange           past the end
├── Unauthenticated      who are you?
├── PermissionDenied     not for you
├── ResourceExhausted    too much; later perhaps
├── Unavailable          not now; try again
├── DeadlineExceeded     took too long
└── Internal             a defect; the log knows more

Raised by domain code, turned into a gRPC status by `status.to_status`, and back into these by `status.from_rpc`: the
caller of an RPC sees what the callee raised. Messages are sentences for the caller and never hold internal text.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request, a reason in UPPER_SNAKE, and a sentence."""

    field: str
    reason: str
    message: str


class DevTeamError(Exception):
    """Base of everything that this system refuses with.

    `reason` is stable and meant for programs, `message` is meant for people, `metadata` holds the facts of both.
    """

    default_reason = "UNKNOWN"

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})


class InvalidInput(DevTeamError):
    """The request is wrong and will stay wrong. Lists every violation that was found."""

    default_reason = "INVALID_INPUT"

    def __init__(self, *violations: Violation, metadata: Mapping[str, str] | None = None) -> None:
        sentence = "; ".join(f"{v.field}: {v.message}" if v.field else v.message for v in violations)
        super().__init__(sentence, reason=violations[0].reason if violations else "", metadata=metadata)
        self.violations = violations


class NotFound(DevTeamError):
    """No such thing, as far as the caller may know."""

    default_reason = "RESOURCE_NOT_FOUND"

    def __init__(self, kind: str, name: str, *, reason: str = "", message: str = "") -> None:
        super().__init__(message or f"no {kind} named {name!r}", reason=reason, metadata={"kind": kind, "name": name})
        self.kind = kind
        self.name = name


class AlreadyExists(DevTeamError):
    """The name is taken by something else."""

    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(DevTeamError):
    """Right request, wrong state; something else has to be done first."""

    default_reason = "FAILED_PRECONDITION"


class Aborted(DevTeamError):
    """Somebody newer took over: a later attempt, instance or stream."""

    default_reason = "ABORTED"


class OutOfRange(DevTeamError):
    """Past the end of what there is."""

    default_reason = "OUT_OF_RANGE"


class Unauthenticated(DevTeamError):
    """The caller did not show who it is."""

    default_reason = "CREDENTIALS_MISSING"


class PermissionDenied(DevTeamError):
    """The caller may not do this."""

    default_reason = "PERMISSION_DENIED"


class _Later(DevTeamError):
    """Something that may work later; `retry_after` in seconds."""

    def __init__(
        self, message: str, *, reason: str = "", retry_after: float = 1.0, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after = retry_after


class ResourceExhausted(_Later):
    """A bound was reached."""

    default_reason = "RESOURCE_EXHAUSTED"


class Unavailable(_Later):
    """Cannot be served now."""

    default_reason = "UNAVAILABLE"


class DeadlineExceeded(DevTeamError):
    """The time that the caller gave has passed."""

    default_reason = "DEADLINE_EXCEEDED"


class Internal(DevTeamError):
    """A defect. The message names the log entry and nothing else."""

    default_reason = "INTERNAL"
