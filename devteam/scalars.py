"""Moments, lengths of time and members of enums, to and from the contract's. Pure functions, named by direction."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf import duration_pb2

_State = TypeVar("_State", bound=StrEnum)


def duration_to_proto(duration: timedelta | None) -> duration_pb2.Duration | None:
    """The contract's duration, or None for None."""
    if duration is None:
        return None
    message = duration_pb2.Duration()
    message.FromTimedelta(duration)
    return message


def duration_from_proto(message: Any, field: str) -> timedelta | None:
    """The duration in `field`, or None when it is not set."""
    return getattr(message, field).ToTimedelta() if message.HasField(field) else None


def moment_from_proto(message: Any, field: str) -> datetime | None:
    """The moment in `field`, in UTC, or None when it is not set."""
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None


def member_from_proto(kind: type[_State], name_of: Callable[[Any], str], number: int, prefix: str) -> _State:
    """The member of `kind` for the contract's PREFIX_NAME; UNKNOWN for a value newer than this client."""
    try:
        name = name_of(number).removeprefix(prefix)
    except ValueError:
        name = ""
    return kind.__members__.get(name, kind("unknown"))
