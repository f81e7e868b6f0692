"""Who a worker is that joins with a token."""

from devteam.mesh.errors import InvalidInput, PermissionDenied, Unauthenticated, Violation
from devteam_registry.keys.domain import JoinToken


def agreed_id(token: JoinToken, worker_id: str) -> str:
    """The id that a worker has that joins with a token and wants `worker_id`, or leaves it open.

    Raises PermissionDenied for another one than the token's, and InvalidInput where neither says one.
    """
    wanted = token.spec.worker_id
    if wanted and worker_id and worker_id != wanted:
        raise PermissionDenied(f"this token is for worker {wanted!r}, not for {worker_id!r}", reason="WORKER_ID_BOUND")
    if not wanted and not worker_id:
        raise InvalidInput(Violation("worker_id", "FIELD_REQUIRED", "must not be empty: the token names no worker"))
    return wanted or worker_id


def not_open() -> Unauthenticated:
    """What is said of every token that lets nobody in: who guesses learns nothing."""
    return Unauthenticated(
        "the join token is not valid: it is mistyped, has expired, was used or never existed; ask for a new one",
        reason="JOIN_TOKEN_INVALID",
    )
