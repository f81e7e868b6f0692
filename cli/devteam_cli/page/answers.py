"""Answers in JSON, and what errors become: a sentence, what to do about it, and a fitting HTTP status."""

from starlette.responses import Response

from devteam import errors
from devteam_cli.failures import advice_on
from devteam_cli.output import plain
from devteam_cli.page.sse import compact

_STATUSES: tuple[tuple[type[errors.DevTeamError], int], ...] = (
    (errors.NotFound, 404),
    (errors.InvalidInput, 400),
    (errors.OutOfRange, 400),
    (errors.Unauthenticated, 401),
    (errors.PermissionDenied, 403),
    (errors.FailedPrecondition, 409),
    (errors.Aborted, 409),
    (errors.Unavailable, 503),
    (errors.ResourceExhausted, 503),
    (errors.DeadlineExceeded, 504),
)


def answer(value: object) -> Response:
    """Anything of the SDK, with the names it has there."""
    return Response(compact(plain(value)), media_type="application/json")


def failure(error: errors.DevTeamError) -> Response:
    """What the mesh refused with."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 502)
    return refusal(status, error.message, advice_on(error))


def refusal(status: int, error: str, advice: str = "") -> Response:
    """An answer that says what is wrong and what to do."""
    return Response(compact(told(error, advice)), status, media_type="application/json")


def told(error: str, advice: str) -> dict[str, str]:
    """What is wrong and what to do, as the page reads it."""
    return {"error": error, "advice": advice}
