"""An MCP server as a worker has it, for as long as a test lasts."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import Tool
from devteam_worker.tools.mcp import McpServer

from tests.fakes.clock import FakeClock

FAKES = Path(__file__).resolve().parents[1] / "fakes"
PATIENCE = 60.0


def script(name: str, *args: str, **more: object) -> McpServerSettings:
    """One of the fakes' scripts as a server on its pipes."""
    return McpServerSettings.model_validate(
        {"command": sys.executable, "args": (str(FAKES / name), *args), **more},
    )


def over_http(port: int, **headers: str) -> McpServerSettings:
    return McpServerSettings(url=f"http://127.0.0.1:{port}/mcp", headers=headers)


class Scene:
    """A server that is open, and its tools by their own names."""

    def __init__(self, server: McpServer, tools: Mapping[str, Tool]) -> None:
        self.server = server
        self.tools = tools

    async def call(self, name: str, **arguments: object) -> str:
        return await self.tools[name].carry_out(arguments)


@asynccontextmanager
async def opened(
    settings: McpServerSettings, clock: FakeClock, environ: Mapping[str, str] | None = None, *, name: str = "files"
) -> AsyncIterator[Scene]:
    server = McpServer(name, settings, clock, environ or {}, patience=PATIENCE)
    try:
        yield Scene(server, {tool.name.rpartition(".")[2]: tool for tool in await server.open()})
    finally:
        await server.close()
