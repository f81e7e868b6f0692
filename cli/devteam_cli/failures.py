"""What a command says when it cannot do its work, and the exit code that goes with it."""

from enum import IntEnum

from devteam import errors
from devteam_cli.stderr import say


class Exit(IntEnum):
    """Exit codes of every command; 130 is an interrupt."""

    OK = 0
    FAILED = 1
    INVALID = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    CANCELLED = 5


_CODES: tuple[tuple[type[errors.DevTeamError], Exit], ...] = (
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Unavailable, Exit.UNAVAILABLE),
    (errors.DeadlineExceeded, Exit.UNAVAILABLE),
    (errors.ResourceExhausted, Exit.UNAVAILABLE),
    (errors.Internal, Exit.FAILED),
)

_ADVICE = {
    "UNREACHABLE": "is the mesh running? Start one with `devteam up`, or name another with --api-url",
    "NOT_A_MESH": "is --api-url right?",
    "CREDENTIALS_MISSING": "give a key with --api-key or DEVTEAM_API_KEY",
    "ROLE_NOT_ALLOWED": "`devteam whoami` shows what your key is good for",
    "TENANT_NOT_ALLOWED": "`devteam whoami` shows what your key is good for",
    "QUEUE_NOT_ALLOWED": "`devteam whoami` shows what your key is good for",
    "STEP_OF_PLAN": "use `devteam plan cancel`",
}
_WHERE_TO_LOOK = {
    "task": "`devteam task list` shows what there is",
    "plan": "`devteam plan list` shows what there is",
    "task or plan": "`devteam task list` and `devteam plan list` show what there is",
    "worker": "`devteam workers` shows what there is",
    "preference": "`devteam routing` shows what there is",
    "limit": "`devteam routing` shows what there is",
    "key": "`devteam keys list --all` shows what there is",
}


def code_of(error: errors.DevTeamError) -> Exit:
    """The exit code for `error`; whatever the caller has to change first is INVALID."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.INVALID)


def complain(error: errors.DevTeamError) -> None:
    """Say what is wrong and what to do next, on stderr."""
    if isinstance(error, errors.InvalidInput) and len(error.violations) > 1:
        say(f"error: {len(error.violations)} things are wrong")
        for violation in error.violations:
            say(f"  {violation.field}: {violation.message}" if violation.field else f"  {violation.message}")
        return
    advice = advice_on(error)
    say(f"error: {error.message}; {advice}" if advice else f"error: {error.message}")


def advice_on(error: errors.DevTeamError) -> str:
    """What to do next, where there is something to say beyond the error itself."""
    if isinstance(error, errors.NotFound):
        return _WHERE_TO_LOOK.get(error.kind, "")
    return _ADVICE.get(error.reason, "")


def first_of(group: BaseExceptionGroup[errors.DevTeamError]) -> errors.DevTeamError:
    """What went wrong first, where several things that ran together failed."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
