"""The ways to an MCP server: the pipes of a process, or HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

import httpx2
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.mcp_stderr import stderr_log

if TYPE_CHECKING:
    # Not the SDK's to promise: names for the type checker alone.
    from mcp.client._transport import ReadStream, TransportStreams
    from mcp.shared.message import SessionMessage

_CONNECT_SECONDS = 10.0
# Of one answer over HTTP. The SDK's bound of 1 MiB is less than one picture. On pipes it has none, nor a place for one.
_EVENT_BYTES = 16 * 1024 * 1024
_SESSION = "mcp-session-id"

# Below a warning it logs URLs, arguments and session ids.
logging.getLogger("mcp").setLevel(logging.WARNING)
# It logs whatever a server writes that is no message, as a traceback each. The connection says so in one line.
logging.getLogger("mcp.client.stdio").addFilter(lambda record: not record.exc_info)


@asynccontextmanager
async def dialled(
    server: str, settings: McpServerSettings, *, on_end: Callable[[], None], on_refused: Callable[[int], None]
) -> "AsyncIterator[TransportStreams]":
    """The streams to and from a server, whose process lives as long as they do.

    Calls `on_end` once the server says nothing more, and `on_refused` with each HTTP status that is an error.
    """
    way = _on_pipes(server, settings) if settings.command else _over_http(settings, on_end, on_refused)
    async with way as (heard, said):
        yield _Heard(heard, on_end), said


@asynccontextmanager
async def _on_pipes(server: str, settings: McpServerSettings) -> "AsyncIterator[TransportStreams]":
    parameters = StdioServerParameters(
        command=settings.command,
        args=list(settings.args),
        env=settings.env,
        cwd=settings.cwd or None,
        # One byte of another encoding would end its reader, and nobody would notice.
        encoding_error_handler="replace",
    )
    async with stderr_log(server) as errlog, stdio_client(parameters, errlog) as streams:
        # The process has its own copy, and the log ends with the last of them.
        errlog.close()
        yield streams


@asynccontextmanager
async def _over_http(
    settings: McpServerSettings, on_end: Callable[[], None], on_refused: Callable[[int], None]
) -> "AsyncIterator[TransportStreams]":
    async def look(response: httpx2.Response) -> None:
        if response.is_error:
            on_refused(response.status_code)
        # The server does not know the session any more; the protocol asks for a new one.
        if response.status_code == httpx2.codes.NOT_FOUND and _SESSION in response.request.headers:
            on_end()

    def client() -> httpx2.AsyncClient:
        # No bound for reading: how long a call may take is its caller's to say.
        timeout = httpx2.Timeout(_CONNECT_SECONDS, read=None)
        return httpx2.AsyncClient(headers=settings.headers, timeout=timeout, event_hooks={"response": [look]})

    async with (
        # In a thread, since it reads every certificate that this machine trusts.
        await asyncio.to_thread(client) as http,
        streamable_http_client(settings.url, http_client=http, max_sse_event_size=_EVENT_BYTES) as streams,
    ):
        yield streams


class _Heard:
    """What the server says, and a call of `on_end` when that is over, for whatever reason."""

    def __init__(self, stream: "ReadStream[SessionMessage | Exception]", on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    async def receive(self) -> "SessionMessage | Exception":
        try:
            return await self._stream.receive()
        except BaseException:
            self._on_end()
            raise

    async def __anext__(self) -> "SessionMessage | Exception":
        try:
            return await self._stream.__anext__()
        except BaseException:
            self._on_end()
            raise

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
