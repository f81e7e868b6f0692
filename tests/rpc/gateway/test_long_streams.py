"""Streams on which nothing is said for long: they are there when something is."""

import asyncio
from typing import Any, cast

import grpc
import httpx
import pytest

from devteam.mesh import options
from devteam.v1 import planner_pb2, planner_pb2_grpc, run_pb2, worker_pb2, worker_pb2_grpc
from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import PATIENCE, Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Longer than the front door waits for a word of a call with one answer, and than JSON may take to come: 15 s each.
SHORT = 20.0
LONG = 600.0
_WATCH, _CONNECT = "/devteam.v1.PlannerService/WatchTask", "/devteam.v1.WorkerService/Connect"
_ERASE = "/devteam.v1.PlannerService/EraseTenant"


def tokens(seq: int) -> planner_pb2.WatchTaskResponse:
    """One token."""
    said = run_pb2.Tokens(task_id="t-1", attempt=1, first_seq=seq, tokens=[run_pb2.Token(text=f"word-{seq}")])
    return planner_pb2.WatchTaskResponse(tokens=said)


async def a_quiet_watcher(door: Gateway, silent: asyncio.Barrier) -> list[int]:
    """What gRPC brings of a task."""
    async with grpc.aio.insecure_channel(door.address, options.CLIENT) as channel:
        call = planner_pb2_grpc.PlannerServiceStub(channel).WatchTask(planner_pb2.WatchTaskRequest(task_id="t-1"))
        first: Any = await call.read()
        await silent.wait()
        return [event.tokens.first_seq for event in (first, cast("Any", await call.read()))]


async def a_quiet_browser(
    http: httpx.AsyncClient, silent: asyncio.Barrier, verb: str = "GET", path: str = "/api/tasks/t-1:watch"
) -> list[str]:
    """What server-sent events bring of it, or of something else. What has a body was waited for before."""
    body = b"{}" if verb == "POST" else None
    async with http.stream(verb, path, content=body, timeout=None) as answer:
        lines = (line async for line in answer.aiter_lines() if line)
        first = await anext(lines)
        await silent.wait()
        return [first, *[line async for line in lines]]


async def a_quiet_worker(door: Gateway, silent: asyncio.Barrier) -> list[Any]:
    """What a worker hears that says nothing itself, not even that it is there."""
    async with grpc.aio.insecure_channel(door.address, options.CLIENT) as channel:
        call = worker_pb2_grpc.WorkerServiceStub(channel).Connect()
        await call.write(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="w-1")))
        first: Any = await call.read()
        await silent.wait()
        return [item.WhichOneof("item") for item in (first, cast("Any", await call.read()))]


async def silence(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient, seconds: float) -> None:
    """All four at once; each hears what is said before and after the silence."""
    go_on = asyncio.Event()
    attached = worker_pb2.ConnectResponse(attached=worker_pb2.Attached())
    drain = worker_pb2.ConnectResponse(drain=worker_pb2.Drain())
    erased = [planner_pb2.EraseTenantResponse(tasks=count) for count in (1, 2)]
    mesh.says.update({_WATCH: [tokens(1), go_on, tokens(2)], _CONNECT: [attached, go_on, drain]})
    mesh.says[_ERASE] = [erased[0], go_on, erased[1]]
    silent = asyncio.Barrier(5)
    async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
        watcher = group.create_task(a_quiet_watcher(door, silent))
        browser = group.create_task(a_quiet_browser(http, silent))
        worker = group.create_task(a_quiet_worker(door, silent))
        owner = group.create_task(a_quiet_browser(http, silent, "POST", "/api/tenants/acme:erase"))
        await silent.wait()
        # Time is what is tested here.
        await asyncio.sleep(seconds)
        go_on.set()
    assert watcher.result() == [1, 2]
    assert [("word-1" in line, "word-2" in line) for line in browser.result()] == [(True, False), (False, True)]
    assert [('"1"' in line, '"2"' in line) for line in owner.result()] == [(True, False), (False, True)]
    assert worker.result() == ["attached", "drain"]


async def test_a_silence_longer_than_any_timer(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient) -> None:
    await silence(mesh, door, http, SHORT)


@pytest.mark.slow
@pytest.mark.timeout(LONG + 60)
async def test_ten_minutes_of_silence(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient) -> None:
    await silence(mesh, door, http, LONG)
