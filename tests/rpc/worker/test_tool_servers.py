"""The devteam-worker command with an MCP server in its file."""

import json
import os
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.fakes.mesh_server import PATIENCE, ScriptedMesh
from tests.rpc.worker.test_command import command
from tests.tools.scene import FAKES


@pytest.mark.parametrize("end", ["terminate", "kill"])
async def test_its_tools_are_registered_and_the_server_goes_with_the_worker(
    mesh: ScriptedMesh, tmp_path: Path, end: str
) -> None:
    server = {"command": sys.executable, "args": [os.fspath(FAKES / "mcp_odd.py"), "well"]}
    file = tmp_path / "worker.yaml"
    file.write_text(json.dumps({"worker": {"tools": {"allow": ["odd.echo"]}, "mcpServers": {"odd": server}}}))
    async with command(mesh, tmp_path, "--provider", "sim", "--config", os.fspath(file)) as process:
        assert list((await mesh.registry.registered()).spec.tools) == ["odd.echo", "odd"]
        (tool_server,) = psutil.Process(process.pid).children()
        getattr(process, end)()
        await process.wait()
        _, alive = psutil.wait_procs([tool_server], timeout=PATIENCE if end == "kill" else 0)
        assert alive == []
