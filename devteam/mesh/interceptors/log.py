"""Log lines of a call carry the call's name; calls that were refused are logged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from devteam.mesh.errors import DevTeamError, Internal
from devteam.mesh.interceptors.call import Call

_log = structlog.get_logger()


@asynccontextmanager
async def log_layer(call: Call) -> AsyncIterator[None]:
    """Bind the method to every log line of the call."""
    with structlog.contextvars.bound_contextvars(rpc_method=call.method.removeprefix("/")):
        yield


@asynccontextmanager
async def refusal_layer(call: Call) -> AsyncIterator[None]:
    """Log refusals with their reason; to stand inside of what turns them into a status."""
    try:
        yield
    except Internal:
        raise
    except DevTeamError as error:
        if not call.quiet:
            _tell(call, error)
        raise


def _tell(call: Call, error: DevTeamError) -> None:
    cause = {"cause": call.cause} if call.cause else {}
    _log.info("call refused", reason=error.reason, message=error.message, peer=call.context.peer(), **cause)
