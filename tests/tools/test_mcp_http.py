"""MCP servers by their URL: keys, sessions, and servers that go away."""

import asyncio
import logging
import socket

import pytest
from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools import mcp_connection
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.mcp import McpServer
from structlog.testing import capture_logs

from tests.fakes.clock import FakeClock
from tests.fakes.mcp_http import SessionServer, serving
from tests.fakes.mcp_tools import tools_server
from tests.tools.scene import opened, over_http

KEY = "k-canary-51"
# The server's own log, and those that a worker keeps below a warning.
NOT_OURS = ("uvicorn", "httpx2", "httpcore2")


async def refusal(settings: McpServerSettings, clock: FakeClock, **environ: str) -> str:
    server = McpServer("far", settings, clock, environ)
    with pytest.raises(ToolError) as caught:
        await server.open()
    await server.close()
    return str(caught.value)


async def test_a_key_out_of_the_environment_goes_where_it_is_meant_to_and_into_no_log(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = SessionServer(KEY)
    async with serving(server.app) as port:
        settings = McpServerSettings(url="${URL}", headers={"Authorization": "Bearer ${KEY}"})
        environ = {"URL": f"http://127.0.0.1:{port}/mcp?key={KEY}", "KEY": KEY}
        async with opened(settings, clock, environ) as scene:
            assert await scene.call("greet") == "hello"
            (session,) = server.sessions
    assert server.parted == 1
    told = [record for record in caplog.records if not record.name.startswith(NOT_OURS)]
    assert [record.name for record in told if KEY in record.getMessage() or session in record.getMessage()] == []


async def test_a_wrong_key_is_refused_and_not_told(clock: FakeClock) -> None:
    async with serving(SessionServer("another").app) as port:
        with capture_logs() as logs:
            settings = over_http(port, Authorization="Bearer ${KEY}")
            assert await refusal(settings, clock, KEY=KEY) == "refuses the connection (HTTP 401)"
    assert KEY not in str(logs)


async def test_nobody_there_is_a_sentence(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await refusal(over_http(port), clock) == "cannot be reached (ConnectError)"


async def test_a_url_that_is_none_is_not_told(clock: FakeClock) -> None:
    why = await refusal(McpServerSettings(url="${URL}"), clock, URL=f"ftp://me:{KEY}@x")
    assert why == "has a url that does not begin with http:// or https:// once its variables are put in"


async def test_a_session_that_the_server_forgot_is_begun_anew(clock: FakeClock) -> None:
    server = SessionServer(KEY)
    async with (
        serving(server.app) as port,
        opened(over_http(port, Authorization=f"Bearer {KEY}"), clock) as scene,
    ):
        server.forget()
        with pytest.raises(ToolError, match="files stopped; try again"):
            await scene.call("greet")
        clock.advance(1)
        assert await scene.call("greet") == "hello"


async def test_a_server_that_was_away_is_found_again(clock: FakeClock) -> None:
    async with serving(tools_server().streamable_http_app()) as port:
        scene = await (opening := opened(over_http(port), clock)).__aenter__()
        assert await scene.call("add", a=1, b=2) == "3"
    with pytest.raises(ToolError, match="files stopped; try again"):
        await scene.call("add", a=1, b=2)
    clock.advance(1)
    with pytest.raises(ToolError, match="not there now"):
        await scene.call("add", a=1, b=2)
    clock.advance(1)
    async with serving(tools_server().streamable_http_app(), port):
        assert await scene.call("add", a=1, b=2) == "3"
        await opening.__aexit__(None, None, None)


async def test_a_server_that_does_not_let_go_is_left(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_connection, "_PARTING", 0.05)
    server = SessionServer(KEY)
    server.may_part.clear()
    async with serving(server.app) as port, asyncio.timeout(60):
        with capture_logs() as logs:
            async with opened(over_http(port, Authorization=f"Bearer {KEY}"), clock):
                pass
        assert (server.parted, logs) == (1, [])
        server.may_part.set()
