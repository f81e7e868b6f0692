"""Everything that a call of the client may raise; `DevTeamError` is the base of all of it."""

from devteam.mesh.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    DevTeamError,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)

__all__ = [
    "Aborted",
    "AlreadyExists",
    "DeadlineExceeded",
    "DevTeamError",
    "FailedPrecondition",
    "Internal",
    "InvalidInput",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Violation",
]
