"""Answers as JSON: names, errors with their details, streams of events, and what is refused."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from devteam.errors import InvalidInput, NotFound, Unavailable, Violation
from devteam.v1 import planner_pb2, run_pb2
from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

_GET, _CREATE = "/devteam.v1.PlannerService/GetTask", "/devteam.v1.PlannerService/CreateTask"
_WATCH = "/devteam.v1.PlannerService/WatchTask"


def tokens(seq: int, text: str) -> planner_pb2.WatchTaskResponse:
    """One token of a watch."""
    said = run_pb2.Tokens(task_id="t-1", attempt=1, first_seq=seq, tokens=[run_pb2.Token(text=text)])
    return planner_pb2.WatchTaskResponse(tokens=said)


async def test_names_are_lower_camel_and_nothing_that_is_unset_is_written(
    mesh: EchoingMesh, http: httpx.AsyncClient
) -> None:
    task = planner_pb2.Task(task_id="t-1", state=planner_pb2.TASK_STATE_RUNNING)
    mesh.says[_GET] = [planner_pb2.GetTaskResponse(task=task)]
    answer = await http.get("/api/tasks/t-1")
    assert answer.json() == {"task": {"taskId": "t-1", "state": "TASK_STATE_RUNNING"}}


async def test_a_refusal_has_a_status_a_sentence_and_every_violation(
    mesh: EchoingMesh, http: httpx.AsyncClient
) -> None:
    wrong = [Violation("task.prompt", "FIELD_REQUIRED", "must not be empty"), Violation("task.model", "X", "is odd")]
    mesh.says[_CREATE] = [InvalidInput(*wrong)]
    answer = await http.post("/api/tasks", json={"task": {}})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, 3)
    assert told["message"] == "task.prompt: must not be empty; task.model: is odd"
    [info, request] = told["details"]
    assert (info["@type"], info["reason"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "FIELD_REQUIRED")
    assert [(one["field"], one["reason"]) for one in request["fieldViolations"]] == [
        ("task.prompt", "FIELD_REQUIRED"),
        ("task.model", "X"),
    ]


@pytest.mark.parametrize(
    ("error", "status", "code", "path"),
    [
        (NotFound("task", "t-1"), 404, 5, "/api/tasks/t-1"),
        (NotFound("task", "t-1"), 404, 5, "/api/tasks/t-1:watch"),
        (Unavailable("the store cannot be written"), 503, 14, "/api/tasks/t-1"),
        (RuntimeError("dts-canary"), 500, 13, "/api/tasks/t-1"),
    ],
)
async def test_other_errors_have_their_statuses(
    mesh: EchoingMesh, http: httpx.AsyncClient, error: Exception, status: int, code: int, path: str
) -> None:
    mesh.says[_GET] = mesh.says[_WATCH] = [error]
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "canary" not in answer.text


async def test_a_read_is_asked_again_and_a_create_is_not(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    """A service that says UNAVAILABLE may have done what it was asked."""
    mesh.says[_GET] = mesh.says[_CREATE] = [Unavailable("the store is away")]
    assert (await http.get("/api/tasks/t-1")).status_code == 503
    assert [call.method for call in mesh.calls] == [_GET] * 3
    mesh.calls.clear()
    assert (await http.post("/api/tasks", json={})).status_code == 503
    assert [call.method for call in mesh.calls] == [_CREATE]


async def test_tokens_are_events_and_each_comes_when_it_is_said(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    go_on = asyncio.Event()
    mesh.says[_WATCH] = [tokens(1, "Hel"), go_on, tokens(2, "lo")]
    async with asyncio.timeout(PATIENCE), http.stream("GET", "/api/tasks/t-1:watch") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        events = _events(answer)
        # The second is not even said before the first has been read.
        assert (await anext(events))["tokens"]["tokens"] == [{"text": "Hel"}]
        go_on.set()
        assert [event["tokens"]["firstSeq"] async for event in events] == ["2"]


async def test_where_a_watch_goes_on_is_said_in_the_query(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    await http.get("/api/tasks/t-1:watch?attempt=2&afterSeq=7")
    request: Any = mesh.calls[0].request
    assert (request.task_id, request.attempt, request.after_seq) == ("t-1", 2, 7)


@pytest.mark.parametrize(
    ("verb", "path", "content", "status", "words"),
    [
        ("POST", "/api/tasks", b"{bad", 400, "Expected"),
        ("GET", "/api/tasks?nothing=3", None, 400, "nothing"),
        ("GET", "/api/nothing", None, 404, "docs/gateway.md"),
        ("DELETE", "/api/tasks/t-1", None, 404, "docs/gateway.md"),
        ("POST", "/nothing", b"{}", 404, "docs/gateway.md"),
        ("GET", "/", None, 404, "docs/gateway.md"),
        ("POST", "/api/tasks", json.dumps({"task": {"prompt": "a" * 4_200_000}}).encode(), 413, "4 MiB"),
    ],
)
async def test_what_is_no_call_is_refused_in_words(
    mesh: EchoingMesh,
    http: httpx.AsyncClient,
    *,
    verb: str,
    path: str,
    content: bytes | None,
    status: int,
    words: str,
) -> None:
    answer = await http.request(verb, path, content=content)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert mesh.calls == []


async def test_fields_that_no_contract_has_are_left_out_of_bodies(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    """docs/gateway.md says so: a client that is newer than the mesh is served."""
    answer = await http.post("/api/tasks", json={"task": {"prompt": "x", "novelty": {"a": [1]}}, "fancy": 1})
    request: Any = mesh.calls[0].request
    assert (answer.status_code, request.task.prompt) == (200, "x")


async def test_answers_bind_browsers(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    headers = (await http.get("/api/tasks/t-1")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def _events(answer: httpx.Response) -> Any:
    async def read() -> Any:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))

    return read()
