"""How a call ended, as spans and metrics have it: the status that its caller sees, and why."""

import asyncio
from typing import NamedTuple

from devteam.mesh.errors import DevTeamError
from devteam.mesh.status import code_name


class Outcome(NamedTuple):
    """`code`: the status by its name. `error_type`: the reason that the caller is told, or what was raised."""

    code: str
    error_type: str


SUCCESS = Outcome("OK", "")


def outcome_of(error: BaseException) -> Outcome:
    """What comes of what a handler raised."""
    match error:
        case DevTeamError():
            return Outcome(code_name(error), error.reason)
        case asyncio.CancelledError():
            return Outcome("CANCELLED", "CANCELLED")
    return Outcome("INTERNAL", type(error).__name__)
