"""A cancel on its way, as watchers see it."""

import asyncio
from typing import Any

from devteam_planner.domain import Cancelled, TaskState, Usage
from devteam_planner.ports import Ending

from devteam.v1 import planner_pb2 as pb
from devteam.v1 import run_pb2
from tests.fakes.clock import FakeClock
from tests.rpc.planner.mesh import Mesh, step


async def trail_with(call: Any, hop: str) -> pb.CancelTrail:
    """The trail in the first event that has this hop."""
    async with asyncio.timeout(60):
        async for event in call:
            if event.HasField("task") and event.task.cancel_trail.HasField(hop):
                trail: pb.CancelTrail = event.task.cancel_trail
                return trail
    raise AssertionError(f"the watch ended without {hop}")


async def test_watchers_see_every_hop_as_it_is_made(mesh: Mesh, clock: FakeClock) -> None:
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt="Say hello", model="sim"))
    task_id = (await mesh.stub.CreateTask(request)).task.task_id
    await mesh.begin(task_id)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id))
    answer = await mesh.stub.CancelTask(pb.CancelTaskRequest(task_id=task_id))
    assert answer.task.cancel_trail.HasField("requested_at")
    await trail_with(call, "router_told_at")

    clock.advance(0.004)
    await mesh.store.note_worker_told(task_id, 1, clock.now())
    mesh.bell.ring(task_id)
    await trail_with(call, "worker_told_at")

    clock.advance(0.015)
    task = await mesh.store.task(task_id)
    ending = Ending(TaskState.CANCELLED, burns=False, stopped=Cancelled(took=0.012))
    assert await mesh.store.end_attempt(task_id, 1, task.worker, ending, clock.now())
    mesh.bell.ring(task_id)
    trail = await trail_with(call, "stopped_at")
    start = trail.requested_at.ToNanoseconds()
    hops = (trail.router_told_at, trail.worker_told_at, trail.stopped_at)
    assert [round((hop.ToNanoseconds() - start) / 1e6) for hop in hops] == [0, 4, 19]
    assert trail.model_closed_after.ToMilliseconds() == 12


async def test_what_a_task_took_that_was_cancelled_is_told_with_it(mesh: Mesh, clock: FakeClock) -> None:
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt="Say hello", model="sim"))
    task_id = (await mesh.stub.CreateTask(request)).task.task_id
    await mesh.begin(task_id)
    task = (await mesh.stub.GetTask(pb.GetTaskRequest(task_id=task_id))).task
    assert not task.HasField("usage")
    ending = Ending(TaskState.CANCELLED, burns=False, spent=Usage(100, 5, 60, 20, 0.25))
    worker = (await mesh.store.task(task_id)).worker
    assert await mesh.store.end_attempt(task_id, 1, worker, ending, clock.now())
    task = (await mesh.stub.GetTask(pb.GetTaskRequest(task_id=task_id))).task
    assert task.usage == run_pb2.Usage(
        input_tokens=100, output_tokens=5, cache_read_tokens=60, cache_write_tokens=20, cost_usd=0.25
    )


async def test_steps_that_never_ran_were_asked_too(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"), step("b", depends_on=("a",)))
    await mesh.begin(f"{plan.plan_id}.a")
    await mesh.stub.CancelPlan(pb.CancelPlanRequest(plan_id=plan.plan_id))
    told, waiting = (await mesh.stub.GetPlan(pb.GetPlanRequest(plan_id=plan.plan_id))).plan.tasks
    assert told.cancel_trail.HasField("router_told_at")
    assert waiting.cancel_trail.HasField("requested_at")
    assert not waiting.cancel_trail.HasField("router_told_at")


async def test_what_nobody_cancelled_has_no_trail(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"))
    assert not plan.tasks[0].HasField("cancel_trail")
