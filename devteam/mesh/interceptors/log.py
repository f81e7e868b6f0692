"""Log lines of a call carry the call's name; calls that were refused are logged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from devteam.mesh.access.peer import Proxies
from devteam.mesh.errors import DevTeamError, Internal
from devteam.mesh.interceptors.call import Call, Layer

_log = structlog.get_logger()


@asynccontextmanager
async def log_layer(call: Call) -> AsyncIterator[None]:
    """Bind the method to every log line of the call."""
    with structlog.contextvars.bound_contextvars(rpc_method=call.method.removeprefix("/")):
        yield


def refusal_layer(proxies: Proxies) -> Layer:
    """Log refusals with their reason and whom they met; to stand inside of what turns them into a status."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except Internal:
            raise
        except DevTeamError as error:
            if not call.quiet:
                cause = {"cause": call.cause} if call.cause else {}
                peer = call.origin(proxies)
                _log.info("call refused", reason=error.reason, message=error.message, peer=peer, **cause)
            raise

    return layer
