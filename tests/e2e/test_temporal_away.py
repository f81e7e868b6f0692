"""A Planner whose Temporal is not there yet, or dies."""

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server

from devteam.v1 import planner_pb2 as pb
from devteam.v1 import status_pb2
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.e2e.services import service

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.planner_pb2_grpc import PlannerServiceAsyncStub

pytestmark = pytest.mark.e2e

# The SDK dials again with growing pauses.
PATIENCE = 100.0


async def test_what_is_accepted_while_temporal_is_away_starts_when_it_comes_or_comes_back(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "temporal.log"
    async with service("planner", tmp_path, temporal_address=f"127.0.0.1:{port}") as planner:
        stub = PlannerServiceStub(planner.channel)
        early = await accepted_later(stub)
        await says_that_temporal_is(stub, status_pb2.DEPENDENCY_STATE_AWAY)
        async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=log) as server:
            await begins(stub, early)
            await says_that_temporal_is(stub, status_pb2.DEPENDENCY_STATE_OK)
            os.kill(server._process.pid, signal.SIGKILL)
            await server.exited()
            late = await accepted_later(stub)
            await says_that_temporal_is(stub, status_pb2.DEPENDENCY_STATE_AWAY)
        async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=log):
            await begins(stub, late)
            await begins(stub, (await create(stub)).task_id)
            await says_that_temporal_is(stub, status_pb2.DEPENDENCY_STATE_OK)
            assert await asyncio.to_thread(planner.program.stop) == 0
    said = (tmp_path / "planner.log").read_text()
    assert said.count("Temporal is away: plans are accepted and start later") == 1
    assert said.count("Temporal answers") == 1


async def create(stub: "PlannerServiceAsyncStub") -> pb.Task:
    """A task of its own."""
    spec = pb.TaskSpec(prompt="Wait", model="sim")
    return (await stub.CreateTask(pb.CreateTaskRequest(task=spec), timeout=PATIENCE)).task


async def accepted_later(stub: "PlannerServiceAsyncStub") -> str:
    """The id of a task that is accepted, and says that Temporal does not know it."""
    task = await create(stub)
    read = (await stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task
    assert task.wait_reason == read.wait_reason == "accepted; waits for Temporal to start it"
    return task.task_id


async def says_that_temporal_is(stub: "PlannerServiceAsyncStub", state: "status_pb2.DependencyState.ValueType") -> None:
    """Ask how the Planner stands until it says so: what it found holds for a few seconds."""
    async with asyncio.timeout(PATIENCE):
        while await temporal(stub) != state:  # noqa: ASYNC110 - a process of its own rings no bell
            await asyncio.sleep(0.1)


async def temporal(stub: "PlannerServiceAsyncStub") -> "status_pb2.DependencyState.ValueType":
    status = (await stub.GetPlannerStatus(pb.GetPlannerStatusRequest())).status
    return next(dependency.state for dependency in status.dependencies if dependency.name == "temporal")


async def begins(stub: "PlannerServiceAsyncStub", task_id: str) -> None:
    """Wait until the task's first attempt is opened, which only its workflow's activity does."""
    async with asyncio.timeout(PATIENCE):
        async for event in stub.WatchTask(pb.WatchTaskRequest(task_id=task_id)):
            if event.WhichOneof("event") == "attempt_started":
                return
