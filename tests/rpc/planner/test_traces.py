"""The trace of a plan, as clients are told of it."""

from collections.abc import Iterable

import pytest
from opentelemetry import trace

from devteam.mesh import channel as client_side
from devteam.mesh.interceptors import trace as server_side
from devteam.v1 import planner_pb2 as pb
from tests.fakes.spans import Spans, context_of, hangs_on
from tests.rpc.planner.mesh import Mesh, events, step

PROMPT = pb.TaskSpec(prompt="Say hello", model="sim")


def shown(tasks: Iterable[pb.Task]) -> set[tuple[str, str]]:
    return {(task.plan_name, task.trace_id) for task in tasks}


async def test_whatever_shows_a_plan_or_a_task_names_its_trace(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans(monkeypatch, client_side, server_side)
    plan = await mesh.create(step("a"), step("b"))
    trace_id = plan.trace_id
    assert trace_id == trace.format_trace_id(context_of(spans.all[0]).trace_id)
    await mesh.begin("p-1.a")
    await mesh.store.close_plan("p-1", plan.created_at.ToDatetime())
    (listed,) = (await mesh.stub.ListPlans(pb.ListPlansRequest())).plans
    read = (await mesh.stub.GetPlan(pb.GetPlanRequest(plan_id="p-1"))).plan
    watched = [event.plan for event in await events(mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id="p-1")))]
    plans = [plan, listed, read, *(told for told in watched if told.plan_id)]
    assert {told.trace_id for told in plans} == {trace_id}
    tasks = [
        *(task for told in plans for task in told.tasks),
        (await mesh.stub.GetTask(pb.GetTaskRequest(task_id="p-1.a"))).task,
        *(await mesh.stub.ListTasks(pb.ListTasksRequest(plan_id="p-1"))).tasks,
        (await events(mesh.stub.WatchTask(pb.WatchTaskRequest(task_id="p-1.a"))))[0].task,
    ]
    assert shown(tasks) == {("research", trace_id)}


async def test_a_task_of_its_own_has_a_trace_and_no_plans_name(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans(monkeypatch, client_side, server_side)
    with spans.tracer.start_as_current_span("the user's program"):
        task = (await mesh.stub.CreateTask(pb.CreateTaskRequest(task=PROMPT))).task
    served, called, user = spans.all
    assert hangs_on(served, called)
    assert hangs_on(called, user)
    listed = (await mesh.stub.ListTasks(pb.ListTasksRequest())).tasks
    assert shown([task, *listed]) == {("", trace.format_trace_id(context_of(user).trace_id))}


async def test_an_unsampled_trace_has_an_id_too(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans(monkeypatch, client_side, server_side, sampled=False)
    assert len((await mesh.create(step("a"))).trace_id) == 32
    assert spans.all == []


async def test_a_mesh_that_traces_nothing_names_no_trace(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"))
    assert (plan.trace_id, shown(plan.tasks)) == ("", {("research", "")})
