"""Every annotated method as JSON: what a curl line becomes at the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google.api import annotations_pb2  # type: ignore[import-untyped]  # ships no types
from google.protobuf import json_format

from tests.fakes.echoing_mesh import METHODS, EchoingMesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PLANNER, _REGISTRY, _ROUTER, _ACCESS = (
    f"/devteam.v1.{name}Service/" for name in ("Planner", "Registry", "Router", "Access")
)


@dataclass(frozen=True)
class Line:
    """What is sent, and what the service is asked; as long as nothing is said, the body is that."""

    verb: str
    path: str
    body: Mapping[str, Any] | None = None
    asked: Mapping[str, Any] | None = None


TASK = {"prompt": "Say hello", "model": "sim", "policy": {"maxAttempts": 2, "runTimeout": "90s"}}
STEP = {"id": "a", "prompt": "Say hello", "model": "sim"}
ERASED, KEY = {"tenant": "acme"}, {"spec": {"name": "ci", "role": "ROLE_CLIENT", "tenant": "acme"}}
BEAT = {"workerId": "w-1", "instanceId": "i-1", "sessionToken": "s", "activeTasks": 2}
WORKER = {"spec": {"workerId": "w-1", "queues": [{"name": "gpu-queue", "concurrency": 2}]}, "instanceId": "i-1"}
JOIN = {"token": "dtj_x", "workerId": "w-1"}

LINES: Mapping[str, Line] = {
    f"{_PLANNER}CreateTask": Line("POST", "/api/tasks", {"task": TASK, "requestId": "r-1"}),
    f"{_PLANNER}GetTask": Line("GET", "/api/tasks/t-1", asked={"taskId": "t-1"}),
    f"{_PLANNER}ListTasks": Line(
        "GET", "/api/tasks?pageSize=3&page_token=a+b", asked={"pageSize": 3, "pageToken": "a b"}
    ),
    f"{_PLANNER}WatchTask": Line("GET", "/api/tasks/t-1:watch", asked={"taskId": "t-1"}),
    f"{_PLANNER}CancelTask": Line("POST", "/api/tasks/t-1:cancel", {}, {"taskId": "t-1"}),
    f"{_PLANNER}CreatePlan": Line(
        "POST", "/api/plans", {"name": "research", "steps": [STEP], "input": {"topic": "tea"}}
    ),
    f"{_PLANNER}GetPlan": Line("GET", "/api/plans/p-1", asked={"planId": "p-1"}),
    f"{_PLANNER}ListPlans": Line("GET", "/api/plans?pageSize=3", asked={"pageSize": 3}),
    f"{_PLANNER}WatchPlan": Line("GET", "/api/plans/p-1:watch", asked={"planId": "p-1"}),
    f"{_PLANNER}CancelPlan": Line("POST", "/api/plans/p-1:cancel", {}, {"planId": "p-1"}),
    f"{_PLANNER}WatchTasks": Line("GET", "/api/tasks:watch", asked={}),
    f"{_PLANNER}GetPlannerStatus": Line("GET", "/api/status/planner", asked={}),
    f"{_PLANNER}EraseTenant": Line("POST", "/api/tenants/acme:erase", {}, ERASED),
    f"{_REGISTRY}RegisterWorker": Line("POST", "/api/workers/register", WORKER),
    f"{_REGISTRY}Heartbeat": Line("POST", "/api/workers/heartbeat", BEAT),
    f"{_REGISTRY}DeregisterWorker": Line(
        "POST", "/api/workers/w-1:deregister", {"sessionToken": "s"}, {"workerId": "w-1", "sessionToken": "s"}
    ),
    f"{_REGISTRY}GetWorker": Line("GET", "/api/workers/w-1", asked={"workerId": "w-1"}),
    f"{_REGISTRY}ListWorkers": Line("GET", "/api/workers?pageSize=3", asked={"pageSize": 3}),
    f"{_REGISTRY}UpdateWorker": Line(
        "PATCH", "/api/workers/w-1", {"concurrency": 3}, {"workerId": "w-1", "concurrency": 3}
    ),
    f"{_REGISTRY}GetRouting": Line("GET", "/api/routing", asked={}),
    f"{_REGISTRY}UpdateRouting": Line("PATCH", "/api/routing", {}),
    f"{_REGISTRY}UpdateQueue": Line(
        "PATCH",
        "/api/queues/gpu-queue",
        {"policy": {"paused": True}},
        {"policy": {"name": "gpu-queue", "paused": True}},
    ),
    f"{_REGISTRY}GetRegistryStatus": Line("GET", "/api/status/registry", asked={}),
    f"{_ROUTER}Explain": Line("POST", "/api/explain", {"taskId": "t-1"}),
    f"{_ROUTER}ListQueues": Line("GET", "/api/queues", asked={}),
    f"{_ROUTER}GetQueue": Line("GET", "/api/queues/gpu-queue", asked={"name": "gpu-queue"}),
    f"{_ROUTER}GetRouterStatus": Line("GET", "/api/status/router", asked={}),
    f"{_ACCESS}CreateKey": Line("POST", "/api/keys", KEY),
    f"{_ACCESS}ListKeys": Line("GET", "/api/keys?include_ended=true", asked={"includeEnded": True}),
    f"{_ACCESS}RevokeKey": Line("POST", "/api/keys/3sFvq9Zk:revoke", {}, {"keyId": "3sFvq9Zk"}),
    f"{_ACCESS}CreateJoinToken": Line("POST", "/api/join-tokens", {"queues": ["gpu-queue"]}),
    f"{_ACCESS}JoinWorker": Line("POST", "/api/workers:join", JOIN),
    f"{_ACCESS}GetIdentity": Line("GET", "/api/identity", asked={}),
    "/devteam.v1.TraceService/GetTrace": Line(
        "GET", "/api/traces/5d6d3cfe8e4a0fb9a48688b738f1e33c", asked={"traceId": "5d6d3cfe8e4a0fb9a48688b738f1e33c"}
    ),
}


async def test_every_annotated_method_is_in_the_table() -> None:
    annotated = {name for name, method in METHODS.items() if method.GetOptions().HasExtension(annotations_pb2.http)}
    assert annotated == set(LINES)


@pytest.mark.parametrize("method", sorted(LINES))
async def test_json_reaches_its_method_with_all_that_was_said(
    mesh: EchoingMesh, http: httpx.AsyncClient, method: str
) -> None:
    line = LINES[method]
    answer = await http.request(line.verb, line.path, json=line.body)
    assert answer.status_code == 200, answer.text
    asked = [(call.method, json_format.MessageToDict(call.request)) for call in mesh.calls]
    assert asked == [(method, line.body if line.asked is None else line.asked)]
    kind = "text/event-stream" if METHODS[method].server_streaming else "application/json"
    assert (answer.headers["content-type"], answer.headers["server"]) == (kind, "devteam")
    assert answer.text.strip() == ("data: {}" if METHODS[method].server_streaming else "{}")


async def test_a_form_of_the_mission_is_a_heartbeat(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    """Names as protobuf has them are taken as well, and without a content type, as curl sends it."""
    await http.post("/api/workers/heartbeat", content=b'{"worker_id": "w-1", "active_tasks": 2}')
    assert json_format.MessageToDict(mesh.calls[0].request) == {"workerId": "w-1", "activeTasks": 2}
