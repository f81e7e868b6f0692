"""Watchers that leave before the end, and what becomes of what they watched."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest

from devteam.v1 import planner_pb2 as pb
from tests.rpc.planner.mesh import Mesh, events, refusal, step


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - it is the server that gets there
            await asyncio.sleep(0.01)


async def is_cancelled(mesh: Mesh, plan_id: str) -> bool:
    """Whether somebody asked for the plan to stop, and everyone was told."""
    asked = (await mesh.store.head(plan_id)).cancel_requested_at is not None
    return asked and plan_id in mesh.workflows.cancelled


async def sole_task(mesh: Mesh) -> str:
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt="Say hello", model="sim"))
    task_id = (await mesh.stub.CreateTask(request)).task.task_id
    await mesh.begin(task_id)
    return task_id


async def test_a_task_is_cancelled_when_its_watcher_leaves_and_asked_for_that(mesh: Mesh) -> None:
    task_id = await sole_task(mesh)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id, cancel_on_disconnect=True))
    await call.read()
    call.cancel()
    await until(lambda: is_cancelled(mesh, task_id))
    assert mesh.router.cancelled == [(task_id, 1)]


async def test_a_plan_is_cancelled_when_its_watcher_leaves_and_asked_for_that(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"), step("b"))
    await mesh.begin(f"{plan.plan_id}.a")
    call = mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id=plan.plan_id, cancel_on_disconnect=True))
    await call.read()
    call.cancel()
    await until(lambda: is_cancelled(mesh, plan.plan_id))
    assert mesh.router.cancelled == [(f"{plan.plan_id}.a", 1)]


async def test_a_client_that_vanishes_has_left_too(mesh: Mesh) -> None:
    """Its connection is gone, without a word."""
    task_id = await sole_task(mesh)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.server.port}") as channel:
        watch = channel.unary_stream(
            "/devteam.v1.PlannerService/WatchTask",
            request_serializer=pb.WatchTaskRequest.SerializeToString,
            response_deserializer=pb.WatchTaskResponse.FromString,
        )
        await watch(pb.WatchTaskRequest(task_id=task_id, cancel_on_disconnect=True)).read()
    await until(lambda: is_cancelled(mesh, task_id))


async def test_otherwise_nobodys_leaving_cancels_anything(mesh: Mesh) -> None:
    """Whoever left before it is noticed: the one that asked for a cancel is the last to go."""
    kept, left = await sole_task(mesh), await sole_task(mesh)
    for task_id in (kept, left):
        call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id, cancel_on_disconnect=task_id == left))
        await call.read()
        call.cancel()
    await until(lambda: is_cancelled(mesh, left))
    assert not await is_cancelled(mesh, kept)


async def test_a_watch_that_ends_with_its_task_cancels_nothing(mesh: Mesh) -> None:
    task_id = await sole_task(mesh)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id, cancel_on_disconnect=True))
    await call.read()
    await mesh.succeed(task_id, "hello")
    assert (await events(call))[-1].task.state == pb.TASK_STATE_SUCCEEDED
    assert mesh.workflows.cancelled == []


async def test_a_planner_that_goes_down_is_not_a_watcher_that_leaves(mesh: Mesh) -> None:
    """Its watchers come back to the next one."""
    task_id = await sole_task(mesh)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id, cancel_on_disconnect=True))
    await call.read()
    await mesh.server.stop()
    with pytest.raises(grpc.aio.AioRpcError):
        await events(call)
    assert (await mesh.store.head(task_id)).cancel_requested_at is None
    assert mesh.workflows.cancelled == []


async def test_a_step_cannot_be_cancelled_by_leaving(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"))
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=f"{plan.plan_id}.a", cancel_on_disconnect=True))
    code, error = await refusal(events(call))
    assert (code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STEP_OF_PLAN")
