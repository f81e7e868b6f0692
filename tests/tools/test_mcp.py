"""MCP servers as sources of tools, over pipes and over HTTP."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import ToolCall
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.toolbox import Limits, Toolbox

from tests.fakes.clock import FakeClock
from tests.fakes.mcp_http import serving
from tests.fakes.mcp_tools import tools_server
from tests.tools.scene import Scene, opened, over_http, script


@pytest.fixture(params=["pipes", "http"])
async def tools(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Scene]:
    if request.param == "pipes":
        async with opened(script("mcp_tools.py"), clock) as scene:
            yield scene
        return
    async with serving(tools_server().streamable_http_app()) as port, opened(over_http(port), clock) as scene:
        yield scene


async def test_tools_are_as_the_server_says_in_a_group_of_its_name(tools: Scene) -> None:
    tool = tools.tools["add"]
    assert (tool.name, tool.group, tool.description, tool.source) == (
        "files.add",
        "files",
        "Adds two numbers.",
        "mcp:files",
    )
    assert tool.parameters["required"] == ["a", "b"]
    assert tools.tools["odd_name"].group == "files"
    assert await tools.call("odd_name") == "odd"


async def test_calls_go_on_beside_one_another(tools: Scene) -> None:
    """Each waits for the other one."""
    async with asyncio.timeout(60):
        assert list(await asyncio.gather(tools.call("meet"), tools.call("meet"))) == ["met", "met"]


async def test_a_call_that_is_given_up_ends_on_the_server_too_and_no_other_one_does(tools: Scene) -> None:
    async with asyncio.timeout(60):
        given_up, waits = asyncio.create_task(tools.call("hold")), asyncio.create_task(tools.call("seen", what="left"))
        assert await tools.call("seen", what="held") == "held"
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await waits == "left"
        assert await tools.call("add", a=1, b=2) == "3"


async def test_a_call_whose_time_is_up_ends_on_the_server_too(tools: Scene) -> None:
    hand, _ = Toolbox(tools.tools.values(), limits=Limits(seconds=0.05)).hand(["files.hold"])
    async with asyncio.timeout(60):
        result = await hand.answer(ToolCall("c1", "files__hold", "{}"))
        assert "within 0.05 s" in result.content
        assert await tools.call("seen", what="left") == "left"


async def test_what_the_tool_could_not_do_is_told_in_its_words(tools: Scene) -> None:
    with pytest.raises(ToolError, match="no such page"):
        await tools.call("fail")
    with pytest.raises(ToolError, match="b"):
        await tools.call("add", a=1)


async def test_pictures_are_told_of_and_what_is_only_structured_is_json(tools: Scene) -> None:
    assert await tools.call("draw") == "A tree:\n[image/png, 12 kB]"
    assert json.loads(await tools.call("count")) == {"words": 3}


def test_a_worker_without_servers_never_imports_the_sdk() -> None:
    code = "import sys, devteam_worker.app; sys.exit('mcp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
