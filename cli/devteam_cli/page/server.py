"""The page's server, inside a process that has other things to do."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from devteam.mesh.address import is_loopback
from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.server import Listen

# Seconds for answers under way to end once the server stops.
_STOP_GRACE = 2
_BACKLOG = 128


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(listen: Listen) -> socket.socket:
    """A socket that listens. Raises FailedPrecondition: it must not be reached from elsewhere, or the port is taken."""
    refuse_exposed_page(listen)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise FailedPrecondition(
            f"cannot serve the page on {listen.host}:{listen.port}: {_why(error)}; "
            "stop what uses the port or choose another with --port",
            reason="PORT_TAKEN",
        ) from None


@asynccontextmanager
async def served(app: ASGIApp, at: socket.socket, ending: asyncio.Event) -> AsyncIterator[None]:
    """Answer at a socket for as long as the block runs; `ending` is set when it ends, so that streams can end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_STOP_GRACE,
    )
    server = _Server(config)

    async def serve() -> None:
        await server.serve([at])

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve())
        try:
            yield
        finally:
            ending.set()
            server.should_exit = True
            await asyncio.wait([serving])


def refuse_exposed_page(listen: Listen) -> None:
    """Raise FailedPrecondition where others could reach the page, and nobody said that they may."""
    if listen.insecure or is_loopback(listen.host):
        return
    raise FailedPrecondition(
        f"refusing to serve the page on {listen.host}: it asks nobody who they are, so that anyone who can reach this "
        "machine could read along. Listen on 127.0.0.1 and reach it through an SSH tunnel or a gateway that asks, or "
        "say --insecure-i-know.",
        reason="EXPOSED_WITHOUT_AUTH",
    )


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
