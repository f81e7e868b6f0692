"""A run whose model calls a tool of an MCP server, from the worker's file on."""

import json
import sys
from pathlib import Path

import pytest
from devteam_worker.agent import ModelAgent
from devteam_worker.domain import Completed
from devteam_worker.providers.base import Text, Token, ToolCall, ToolResult
from devteam_worker.providers.catalog import Catalog
from devteam_worker.settings import load_settings
from devteam_worker.tools.equipment import equipped
from structlog.testing import capture_logs

from tests.fakes.agent_script import an_assignment
from tests.fakes.clock import FakeClock
from tests.tools.scene import FAKES
from tests.unit.worker.test_conversation import Model, ended

FILE = f"""\
worker:
  tools: {{allow: ["odd.echo"]}}
  mcpServers:
    odd: {{command: {json.dumps(sys.executable)}, args: [{json.dumps(str(FAKES / "mcp_odd.py"))}, "${{WAY}}"]}}
    absent: {{command: no-such-tool}}
"""


async def test_a_model_calls_a_tool_of_a_server_that_the_workers_file_names(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAY", "well")
    file = tmp_path / "worker.yaml"
    file.write_text(FILE)
    heard: list[Token] = []

    async def emit(token: Token) -> None:
        heard.append(token)

    model = Model([ToolCall("c1", "odd__echo", '{"text": "hi"}'), ended("said")], [Text("It echoes."), ended()])
    with capture_logs() as logs:
        async with equipped(load_settings(file, {}, {}), [], clock, tmp_path) as toolbox:
            outcome = await ModelAgent(Catalog({"sim": model}, simulate=True), toolbox, clock).run(
                an_assignment(tools=("odd",)), emit
            )
            names = toolbox.names

    assert names == ("odd.echo", "odd")
    assert isinstance(outcome, Completed)
    assert heard[0] == ToolCall("c1", "odd.echo", '{"text": "hi"}')
    assert isinstance(heard[1], ToolResult)
    assert (json.loads(heard[1].content)["said"], heard[1].source) == ("hi", "mcp:odd")
    assert model.asked[1].turns[0].results == (heard[1],)
    why = "cannot be started: No such file or directory: no-such-tool"
    assert {"event": "tools left out", "log_level": "warning", "source": "absent", "why": why} in logs
