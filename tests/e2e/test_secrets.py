"""Keys stay on the worker: nothing that is kept, told, logged or traced holds one."""

import sqlite3
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.models import TaskState
from devteam.specs import RunPolicy
from tests.e2e.programs import Mesh
from tests.fakes import anthropic_server as wire
from tests.fakes.anthropic_server import AnthropicServer
from tests.fakes.http_server import Act, Reply

pytestmark = pytest.mark.e2e

KEY = "sk-ant-canary-deadbeef-4711"
MARK = "Tell me about the prompt-canary-0815"
ONCE = RunPolicy(max_attempts=1)
OK = wire.stream(wire.START, *wire.text(0, "Well."), *wire.end())


@pytest.fixture
async def provider() -> AsyncIterator[AnthropicServer]:
    """Anthropic's API, which quotes the key wherever it can."""
    async with AnthropicServer() as server:
        server.know({"id": "claude-opus-5-5", "line": "opus"})
        yield server


def quoting() -> list[Reply]:
    return [
        wire.refusal(401, "authentication_error", f"invalid x-api-key: {KEY}"),
        wire.refusal(400, "invalid_request_error", f"the header x-api-key: {KEY} is odd"),
        wire.stream(wire.START, *wire.text(0, "Half"), wire.error("api_error", f"broke for {KEY}")),
        wire.stream(wire.START, *wire.text(0, "Half"), Act.CUT),
        wire.refusal(429, "rate_limit_error", f"{KEY} is slow", {"retry-after": "0"}),
        OK,
    ]


async def test_a_providers_key_is_nowhere_but_on_the_worker(
    mesh: Mesh, client: DevTeamClient, provider: AnthropicServer
) -> None:
    provider.answer(*quoting())
    env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": provider.url, "DEVTEAM_LOG_LEVEL": "DEBUG"}
    with mesh.worker("--id", "keeper", "--queue", "claude", "--model", "opus", **env):
        told = []
        for _ in range(5):
            task = await client.create_task(MARK, model="opus", queue="claude", policy=ONCE)
            ended = await client.wait(task.id)
            told += [repr(ended), repr([event async for event in client.watch_task(task.id)])]
        assert ended.state is TaskState.SUCCEEDED
        told.append(repr(await client.get_workers()))
        told += [mesh.run(*command).stdout for command in (("explain", task.id), ("trace", task.id), ("status",))]
        metrics = scraped_text(mesh.program.line(r"^Metrics: (http://\S+/metrics)$")[1])
    assert {request.headers["authorization"] for request in provider.requests} == {f"Bearer {KEY}"}
    assert all(KEY not in text for text in told)
    assert any(_holds(path, MARK) for path in _files(mesh)), "what is looked for would be found"
    assert [str(path) for path in _files(mesh) if _holds(path, KEY)] == []
    assert KEY not in metrics
    assert "devteam_attempts_total{" in metrics, "what would be found there is there"
    # What was asked is in the Planner's database and nowhere else: no log, trace or metric, and not Temporal's history.
    assert MARK not in metrics
    assert {path.name.split("-")[0] for path in _files(mesh) if _holds(path, MARK)} <= {"planner.db"}


def scraped_text(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


def _files(mesh: Mesh) -> list[Path]:
    """Databases, Temporal's history, traces and logs."""
    return [path for folder in (mesh.data, mesh.logs) for path in folder.rglob("*") if path.is_file()]


def _holds(path: Path, text: str) -> bool:
    if path.suffix in {".db", ".sqlite"}:
        # What still is in the log that is written ahead, too.
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint")
    return text.encode() in path.read_bytes()
