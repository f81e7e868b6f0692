"""An MCP server with tools for tests, made with the SDK; as a script it speaks on its pipes."""

import asyncio
import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent, TextContent

PICTURE = "aGVsbG8=" * 2000


def tools_server() -> MCPServer:
    """A server whose tools know what happened to one another."""
    server = MCPServer("tools")
    held, left, met = asyncio.Event(), asyncio.Event(), asyncio.Barrier(2)

    @server.tool()
    def add(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    @server.tool()
    def fail() -> str:
        raise ToolError("no such page")

    @server.tool()
    def count() -> CallToolResult:
        return CallToolResult(content=[], structured_content={"words": 3})

    @server.tool()
    def draw() -> list[TextContent | ImageContent]:
        return [TextContent(text="A tree:"), ImageContent(data=PICTURE, mime_type="image/png")]

    @server.tool()
    async def meet() -> str:
        """Answers once it is called twice."""
        await met.wait()
        return "met"

    @server.tool()
    async def hold() -> str:
        """Never answers."""
        held.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            left.set()
        return ""

    @server.tool()
    async def seen(what: str) -> str:
        """Answers once somebody holds, or once that one left."""
        await {"held": held, "left": left}[what].wait()
        return what

    @server.tool()
    def about() -> dict[str, str]:
        """Where the process is, what it was started with, and its environment."""
        return {"cwd": str(Path.cwd()), "arguments": " ".join(sys.argv[1:]), **os.environ}

    @server.tool(name="odd.name")
    def odd_name() -> str:
        sys.stderr.write("\x1b[31mred\x1b[0m words\n")
        sys.stderr.flush()
        return "odd"

    return server


if __name__ == "__main__":
    tools_server().run("stdio")
