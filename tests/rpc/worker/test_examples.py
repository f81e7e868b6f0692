"""The example workers, at work."""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from devteam.v1 import run_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh
from tests.rpc.worker.embedded import started

EXAMPLES = Path(__file__).parents[3] / "examples" / "workers"


@pytest.fixture
def example(request: pytest.FixtureRequest, mesh: ScriptedMesh, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example that a test names, pointed at a scripted mesh, in the folder of the examples."""
    monkeypatch.setenv("DEVTEAM_API_URL", mesh.url)
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    monkeypatch.setattr(sys, "argv", ["example", str(EXAMPLES)])
    spec = spec_from_file_location(request.param, EXAMPLES / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Annotations are looked up there.
    monkeypatch.setitem(sys.modules, request.param, module)
    spec.loader.exec_module(module)
    return module


async def answer(line: Line) -> list[run_pb2.Token]:
    assert (await line.hears()).WhichOneof("item") == "accepted"
    tokens: list[run_pb2.Token] = []
    while (request := await line.hears()).WhichOneof("item") != "report":
        tokens += request.tokens.tokens
    assert request.report.WhichOneof("outcome") == "completion"
    line.ack_report()
    return tokens


@pytest.mark.parametrize("example", ["plain_function"], indirect=True)
async def test_a_plain_function(mesh: ScriptedMesh, example: ModuleType) -> None:
    async with started(example.worker):
        line = await mesh.router.attached()
        line.assign(queue="shout", prompt="hello there")
        assert [token.text for token in await answer(line)] == ["HELLO ", "THERE "]


@pytest.mark.parametrize("example", ["shell_tool"], indirect=True)
@pytest.mark.parametrize(
    ("command", "found", "is_error"),
    [
        ("ls", "shell_tool.py", False),
        ("grep -c READING shell_tool.py", "3", False),
        ("cat ../../README.md", "outside the folder", True),
        ("grep --file=/etc/hostname shell_tool.py", "outside the folder", True),
        ("rm shell_tool.py", "Only these commands", True),
        ("ls 'x", "No command line", True),
    ],
)
async def test_a_shell_tool(
    mesh: ScriptedMesh, example: ModuleType, command: str, found: str, *, is_error: bool
) -> None:
    async with started(example.worker):
        line = await mesh.router.attached()
        line.assign(queue="code", prompt=command, tools=["shell"], options={"tokens": 1})
        result = (await answer(line))[1].tool_result
    assert (found in result.content, result.is_error) == (True, is_error)


@pytest.mark.skipif(find_spec("langgraph") is None, reason="langgraph is not installed")
@pytest.mark.parametrize("example", ["langgraph_agent"], indirect=True)
async def test_a_langgraph_agent(mesh: ScriptedMesh, example: ModuleType) -> None:
    async with started(example.worker):
        line = await mesh.router.attached()
        line.assign(queue="essays", prompt="tides")
        tokens = await answer(line)
    assert [token.progress for token in tokens[:-1]] == [f"write: round {n}" for n in (1, 2, 3)]
    assert tokens[-1].text == "Draft 3 about: tides"
