"""Tools of a worker in one's own program, as the mesh sees them."""

import pytest
from devteam_worker import ToolError

from devteam.v1 import run_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh
from tests.rpc.worker.embedded import a_worker, plain, started


async def heard(line: Line) -> tuple[list[run_pb2.Token], run_pb2.Report]:
    """All tokens of the run, and its end."""
    tokens: list[run_pb2.Token] = []
    while (request := await line.hears()).WhichOneof("item") != "report":
        tokens += request.tokens.tokens
    line.ack_report()
    return tokens, request.report


@pytest.fixture(autouse=True)
def _simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")


async def test_a_model_calls_the_owners_function_and_everybody_sees_it(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)

    @worker.tool
    def forecast(city: str) -> str:
        """How the weather will be."""
        return f"Rain in {city}."

    async with started(worker):
        assert list((await mesh.registry.registered()).spec.tools) == ["forecast"]
        line = await mesh.router.attached()
        line.assign(prompt="Oslo", tools=["forecast"], options={"tokens": 9})
        assert (await line.hears()).WhichOneof("item") == "accepted"
        tokens, report = await heard(line)
    assert tokens[0].tool_call == run_pb2.ToolCall(call_id="call-1-1", name="forecast", arguments='{"city": "Oslo"}')
    assert tokens[1].tool_result == run_pb2.ToolResult(call_id="call-1-1", content="Rain in Oslo.", source="function")
    assert "".join(token.text for token in tokens).startswith("[function] Rain in Oslo.")
    assert (report.last_seq, report.WhichOneof("outcome")) == (len(tokens), "completion")


async def test_a_tool_that_fails_is_no_end_of_the_run(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)

    @worker.tool(name="forecast")
    async def look_out(city: str) -> str:
        raise ToolError(f"No window in {city}.")

    async with started(worker):
        line = await mesh.router.attached()
        line.assign(prompt="Oslo", tools=["forecast"], options={"tokens": 1})
        assert (await line.hears()).WhichOneof("item") == "accepted"
        tokens, report = await heard(line)
    assert (tokens[1].tool_result.content, tokens[1].tool_result.is_error) == ("No window in Oslo.", True)
    assert report.WhichOneof("outcome") == "completion"


async def test_a_handlers_tools_are_advertised_for_placement_alone(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)
    worker.on_task(plain)

    @worker.tool
    def forecast(city: str) -> str:
        """Not called by anybody here."""
        return city

    async with started(worker):
        assert list((await mesh.registry.registered()).spec.tools) == ["forecast"]
        line = await mesh.router.attached()
        line.assign(prompt="oslo", tools=["forecast"])
        assert (await line.hears()).WhichOneof("item") == "accepted"
        tokens, _ = await heard(line)
    assert [token.text for token in tokens] == ["OSLO"]
