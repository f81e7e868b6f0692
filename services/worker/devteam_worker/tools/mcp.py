"""MCP servers as sources of tools. The SDK is imported when the first of them is opened, and never without one."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from devteam.mesh.clock import Clock
from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import Tool, ToolError
from devteam_worker.tools.variables import filled

if TYPE_CHECKING:
    from devteam_worker.tools.mcp_connection import Connection, Offered

_log = structlog.get_logger()

# Seconds for a server to say which tools it has: one that is started may have to be fetched first.
_START_PATIENCE = 25.0
_DIAL_PATIENCE = 10.0
# Seconds from one start to the next.
_PAUSE = 1.0


class McpServer:
    """An MCP server of the worker's file. One connection, started by `open`, carries all calls at once.

    One that has died is started anew at the next call, though not more often than once a second: a server that is
    broken costs calls, never the machine.
    """

    def __init__(
        self,
        name: str,
        settings: McpServerSettings,
        clock: Clock,
        environ: Mapping[str, str] = os.environ,
        *,
        patience: float = 0.0,
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._environ = environ
        self._patience = patience or (_START_PATIENCE if settings.command else _DIAL_PATIENCE)
        self._starting = asyncio.Lock()
        self._started = 0.0
        self._connection: Connection | None = None
        self._closed = False

    async def open(self) -> Sequence[Tool]:
        """Start the server, and say which tools it has. Raises ToolError with what its owner should know."""
        async with self._starting:
            self._connection = connection = await self._start()
        return [self._tool(offered) for offered in await connection.ready()]

    async def close(self) -> None:
        """End the connection, and the process with it. Takes seconds where the server hangs, never for ever."""
        async with self._starting:
            self._closed = True
            if self._connection is not None:
                await self._connection.close()

    def _tool(self, offered: "Offered") -> Tool:
        # What comes before the last dot is the group, so that a tool's own name must have none.
        name = f"{self.name}.{offered.name.replace('.', '_')}"
        call = partial(self._call, offered.name)
        return Tool(name, offered.description, offered.parameters, f"mcp:{self.name}", call)

    async def _call(self, tool: str, arguments: Mapping[str, object]) -> str:
        connection = await self._at_hand()
        return await connection.call(tool, arguments)

    async def _at_hand(self) -> "Connection":
        """The connection, or a new one for one that is over. Started beside this call, which may be stopped."""
        async with self._starting:
            if self._connection is None or self._connection.over:
                self._connection = await self._start_anew()
            connection = self._connection
        try:
            await connection.ready()
        except ToolError as error:
            # Its owner's to know. The model can only do without.
            _log.warning("tool server did not come back", server=self.name, why=str(error))
            raise ToolError(f"The tool server {self.name} is not there now; do without it, or try later.") from None
        return connection

    async def _start_anew(self) -> "Connection":
        if self._closed:
            raise ToolError(f"The tool server {self.name} is closed.")
        if self._clock.monotonic() - self._started < _PAUSE:
            raise ToolError(f"The tool server {self.name} stopped a moment ago; try again in a second.")
        if self._connection is not None:
            await self._connection.close()
        _log.info("tool server is started anew", server=self.name)
        return await self._start()

    async def _start(self) -> "Connection":
        settings = filled(self._settings, self._environ)
        connect = await asyncio.to_thread(_connection)
        self._started = self._clock.monotonic()
        return connect(self.name, settings, self._patience)


def _connection() -> "type[Connection]":
    """In a thread, since importing the SDK takes a second."""
    from devteam_worker.tools.mcp_connection import Connection

    return Connection
