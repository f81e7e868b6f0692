"""MCP servers over HTTP on loopback."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@asynccontextmanager
async def serving(app: Any, port: int = 0) -> AsyncIterator[int]:
    """Serve an ASGI application on loopback, on any port unless one is given."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


class SessionServer:
    """The protocol of 2025-11-25 over HTTP: sessions, which `forget` ends as a restart does, and a key."""

    def __init__(self, key: str) -> None:
        self.app = Starlette(routes=[Route("/mcp", self._answer, methods=["GET", "POST", "DELETE"])])
        self.sessions: set[str] = set()
        self.parted = 0
        self.may_part = asyncio.Event()
        self.may_part.set()
        self._key = key

    def forget(self) -> None:
        self.sessions.clear()

    async def _answer(self, request: Request) -> Response:
        session = request.headers.get("mcp-session-id", "")
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return Response(status_code=401)
        if request.method == "DELETE":
            self.parted += 1
            await self.may_part.wait()
            return Response(status_code=204)
        if request.method == "GET":
            return Response(status_code=405)
        message = await request.json()
        if message["method"] == "initialize":
            return self._begin(message)
        if session not in self.sessions:
            error = {"code": -32001, "message": "Session not found"}
            return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 404 if session else 400)
        if "id" not in message:
            return Response(status_code=202)
        tools = [{"name": "greet", "inputSchema": {"type": "object"}}]
        listed = message["method"] == "tools/list"
        return _result(message, {"tools": tools} if listed else {"content": [{"type": "text", "text": "hello"}]})

    def _begin(self, message: dict[str, Any]) -> Response:
        session = secrets.token_hex(8)
        self.sessions.add(session)
        version, server = message["params"]["protocolVersion"], {"name": "old", "version": "1"}
        reply = _result(message, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server})
        reply.headers["mcp-session-id"] = session
        return reply


def _result(message: dict[str, Any], result: dict[str, Any]) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})
