"""Tasks and plans over the wire: create, get, list, watch, cancel."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.v1 import planner_pb2 as pb
from devteam.v1 import run_pb2
from tests.fakes.planner_samples import NOON, a_batch
from tests.rpc.planner.mesh import Mesh, events, refusal, step


def full_spec() -> pb.TaskSpec:
    """A spec in which nothing has its default."""
    spec = pb.TaskSpec(
        prompt="Prüfe das",
        model="ollama:llama3.3",
        queue="gpu-queue",
        system_prompt="You are terse",
        tools=["search"],
        placement=run_pb2.Placement(
            requirements=run_pb2.Requirements(
                gpu=True,
                gpu_model="5080",
                min_ram_gb=23.5,
                min_cpu_cores=8,
                labels={"zone": "a"},
                data_sources=["wiki"],
            ),
            strategy=run_pb2.STRATEGY_LOCALITY,
            priority=1,
            near_data_source="wiki",
            preferred_queues=["gpu-queue"],
        ),
        generation=run_pb2.Generation(max_tokens=500, effort="high"),
        policy=run_pb2.RunPolicy(
            max_attempts=5,
            on_worker_loss=run_pb2.ON_WORKER_LOSS_FAIL,
            run_timeout=Duration(seconds=90, nanos=500_000_000),
            schedule_timeout=Duration(seconds=600),
        ),
    )
    spec.generation.options.update({"num_ctx": 8192, "deep": [1.5, None, {"x": True, "y": "z"}]})
    return spec


def noon() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(NOON)
    return moment


async def create_task(mesh: Mesh, spec: pb.TaskSpec | None = None, request_id: str = "") -> pb.Task:
    request = pb.CreateTaskRequest(task=spec or pb.TaskSpec(prompt="Say hello", model="sim"), request_id=request_id)
    return (await mesh.stub.CreateTask(request)).task


def kinds(told: Sequence[Any]) -> list[str | None]:
    return [event.WhichOneof("event") for event in told]


async def test_a_task_comes_back_as_it_was_submitted(mesh: Mesh) -> None:
    task = await create_task(mesh, full_spec())
    assert task == pb.Task(
        task_id="t-1",
        plan_id="t-1",
        step_id="task",
        state=pb.TASK_STATE_PENDING,
        spec=full_spec(),
        created_at=noon(),
        tenant="default",
    )
    assert (await mesh.stub.GetTask(pb.GetTaskRequest(task_id="t-1"))).task == task
    assert list(mesh.workflows.started) == ["t-1"]


async def test_what_is_left_out_has_its_default(mesh: Mesh) -> None:
    spec = (await create_task(mesh)).spec
    assert (spec.placement.priority, spec.policy.max_attempts) == (3, 3)
    assert spec.policy.on_worker_loss == run_pb2.ON_WORKER_LOSS_RESTART
    assert spec.policy.run_timeout == Duration(seconds=3600)
    assert not spec.policy.HasField("schedule_timeout")


async def test_a_plan_comes_back_with_its_steps_in_order(mesh: Mesh) -> None:
    plan = await mesh.create(
        step("write", "About {{input.topic}}: {{read.output}}", depends_on=("read", "read")),
        step("read"),
        input={"topic": "tea"},
    )
    assert (plan.plan_id, plan.name, dict(plan.input)) == ("p-1", "research", {"topic": "tea"})
    assert [(t.task_id, t.step_id, list(t.depends_on)) for t in plan.tasks] == [
        ("p-1.write", "write", ["read"]),
        ("p-1.read", "read", []),
    ]
    read = (await mesh.stub.GetPlan(pb.GetPlanRequest(plan_id="p-1"))).plan
    assert (read.state, list(read.tasks)) == (pb.PLAN_STATE_RUNNING, list(plan.tasks))


async def test_a_repeated_create_answers_with_the_same_thing(mesh: Mesh) -> None:
    """Also five times at once."""
    tasks = await asyncio.gather(*(create_task(mesh, full_spec(), "r-1") for _ in range(5)))
    assert {task.task_id for task in tasks} == {tasks[0].task_id}
    plans = await asyncio.gather(
        *(mesh.create(step("a"), request_id="r-2", input={"b": "", "a": ""}) for _ in range(5))
    )
    assert {plan.plan_id for plan in plans} == {plans[0].plan_id}
    assert len(mesh.workflows.started) == 2


async def test_a_request_id_is_good_for_one_body(mesh: Mesh) -> None:
    await create_task(mesh, request_id="r-1")
    for call in (create_task(mesh, full_spec(), "r-1"), mesh.create(step("a"), request_id="r-1")):
        code, error = await refusal(call)
        assert (code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_a_create_is_accepted_while_temporal_is_down(mesh: Mesh) -> None:
    mesh.workflows.down = True
    assert (await create_task(mesh)).state == pb.TASK_STATE_PENDING


async def test_the_output_is_only_in_get_task(mesh: Mesh) -> None:
    task = await create_task(mesh)
    await mesh.begin(task.task_id)
    await mesh.succeed(task.task_id, "grüner Tee")
    read = (await mesh.stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task
    assert (read.state, read.output, read.output_bytes) == (pb.TASK_STATE_SUCCEEDED, "grüner Tee", 11)
    assert (read.attempt, read.worker_id, read.queue, read.placement_reason) == (1, "w1", "default", "in turn")
    assert (read.completion.provider, read.started_at, read.ended_at) == ("sim", noon(), noon())
    assert read.usage == read.completion.usage == run_pb2.Usage(input_tokens=3, output_tokens=5)
    (listed,) = (await mesh.stub.ListTasks(pb.ListTasksRequest())).tasks
    read.ClearField("output")
    assert listed == read


async def test_tasks_are_listed_in_pages(mesh: Mesh) -> None:
    for _ in range(5):
        await create_task(mesh)
    await mesh.create(step("a"), step("b"))
    request, pages = pb.ListTasksRequest(page_size=2), list[list[str]]()
    while not pages or request.page_token:
        page = await mesh.stub.ListTasks(request)
        pages.append([task.task_id for task in page.tasks])
        request.page_token = page.next_page_token
    assert pages == [["t-5", "t-4"], ["t-3", "t-2"], ["t-1"]]
    of_plan = await mesh.stub.ListTasks(pb.ListTasksRequest(plan_id="p-6"))
    assert [task.task_id for task in of_plan.tasks] == ["p-6.b", "p-6.a"]
    pending = await mesh.stub.ListTasks(pb.ListTasksRequest(plan_id="p-6", state=pb.TASK_STATE_RUNNING))
    assert list(pending.tasks) == []


async def test_a_page_never_outgrows_a_message(mesh: Mesh) -> None:
    """Thirty tasks of 250 KiB are 7.5 MiB: three pages, though one was asked for."""
    for _ in range(30):
        await create_task(mesh, pb.TaskSpec(prompt="x" * 250 * 1024, model="sim"))
    request, seen = pb.ListTasksRequest(page_size=50), list[int]()
    while not seen or request.page_token:
        page = await mesh.stub.ListTasks(request)
        seen.append(len(page.tasks))
        request.page_token = page.next_page_token
    assert seen == [12, 12, 6]


async def test_plans_are_listed_without_tasks(mesh: Mesh) -> None:
    await mesh.create(step("a"))
    await create_task(mesh)
    await mesh.create(step("a"))
    page = await mesh.stub.ListPlans(pb.ListPlansRequest(page_size=1))
    assert [(plan.plan_id, len(plan.tasks)) for plan in page.plans] == [("p-3", 0)]
    after = await mesh.stub.ListPlans(pb.ListPlansRequest(page_token=page.next_page_token))
    assert ([plan.plan_id for plan in after.plans], after.next_page_token) == (["p-1"], "")
    ended = await mesh.stub.ListPlans(pb.ListPlansRequest(state=pb.PLAN_STATE_FAILED))
    assert list(ended.plans) == []


async def test_a_task_is_watched_to_its_end(mesh: Mesh) -> None:
    task = await create_task(mesh)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
    watching = asyncio.create_task(events(call))
    await mesh.begin(task.task_id)
    await mesh.say(task.task_id, a_batch(1, "Hel", "lo"), a_batch(3, " you"))
    await mesh.succeed(task.task_id, "Hello you")
    told = await watching
    assert told[-1].task.state == pb.TASK_STATE_SUCCEEDED
    assert told[-1].task.output == ""
    (started,) = [event.attempt_started for event in told if event.HasField("attempt_started")]
    assert started == pb.AttemptStarted(task_id="t-1", attempt=1, reason="first attempt")
    batches = [event.tokens for event in told if event.HasField("tokens")]
    assert "".join(token.text for batch in batches for token in batch.tokens) == "Hello you"
    assert [(batch.task_id, batch.attempt, batch.first_seq) for batch in batches] == [("t-1", 1, 1), ("t-1", 1, 3)]


async def test_a_watch_goes_on_in_the_middle_of_a_batch(mesh: Mesh) -> None:
    task = await create_task(mesh)
    await mesh.begin(task.task_id)
    await mesh.say(task.task_id, a_batch(1, "a", "b", "c"), a_batch(4, "d"))
    await mesh.succeed(task.task_id, "abcd")
    request = pb.WatchTaskRequest(task_id=task.task_id, attempt=1, after_seq=2)
    told = await events(mesh.stub.WatchTask(request))
    assert kinds(told) == ["task", "tokens", "tokens", "task"]
    assert told[1].tokens == run_pb2.Tokens(task_id="t-1", attempt=1, first_seq=3, tokens=[run_pb2.Token(text="c")])
    assert told[2].tokens.first_seq == 4


async def test_a_plan_is_watched_to_its_end(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"), step("b"))
    watching = asyncio.create_task(events(mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id=plan.plan_id))))
    for task in plan.tasks:
        await mesh.begin(task.task_id)
        await mesh.say(task.task_id, a_batch(1, task.step_id))
        await mesh.succeed(task.task_id, task.step_id)
    await mesh.store.close_plan(plan.plan_id, NOON)
    mesh.bell.ring(plan.plan_id)
    told = await watching
    assert kinds(told)[0] == kinds(told)[-1] == "plan"
    assert told[-1].plan.state == pb.PLAN_STATE_SUCCEEDED
    assert [task.state for task in told[-1].plan.tasks] == [pb.TASK_STATE_SUCCEEDED] * 2
    texts = {event.tokens.task_id: event.tokens.tokens[0].text for event in told if event.HasField("tokens")}
    assert texts == {"p-1.a": "a", "p-1.b": "b"}


async def test_a_plan_is_watched_from_cursors(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"))
    await mesh.begin("p-1.a")
    await mesh.say("p-1.a", a_batch(1, "x", "y"))
    await mesh.succeed("p-1.a", "xy")
    await mesh.store.close_plan("p-1", NOON)
    cursor = pb.Cursor(task_id="p-1.a", attempt=1, after_seq=1)
    told = await events(mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id=plan.plan_id, after=[cursor])))
    assert kinds(told) == ["plan", "tokens", "plan"]
    assert told[1].tokens.first_seq == 2


async def test_a_watcher_who_hangs_up_is_let_go(mesh: Mesh) -> None:
    task = await create_task(mesh)
    call = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
    async with asyncio.timeout(60):
        await call.read()
        assert len(mesh.bell._listeners) == 1
        call.cancel()
        while mesh.bell._listeners:  # noqa: ASYNC110 - a server says nothing when it has let go
            await asyncio.sleep(0.01)


async def test_a_plan_is_cancelled(mesh: Mesh) -> None:
    await mesh.create(step("a"), step("b"))
    await mesh.begin("p-1.a")
    plan = (await mesh.stub.CancelPlan(pb.CancelPlanRequest(plan_id="p-1"))).plan
    assert plan.cancel_requested_at == noon()
    assert mesh.router.cancelled == [("p-1.a", 1)]
    assert mesh.workflows.cancelled == ["p-1"]


async def test_a_cancel_may_come_twice(mesh: Mesh) -> None:
    request = pb.CancelTaskRequest(task_id=(await create_task(mesh)).task_id)
    first = (await mesh.stub.CancelTask(request)).task
    assert (await mesh.stub.CancelTask(request)).task == first


async def test_a_cancel_that_comes_too_late_is_answered_with_the_end(mesh: Mesh) -> None:
    task = await create_task(mesh)
    await mesh.begin(task.task_id)
    await mesh.succeed(task.task_id, "done before")
    await mesh.store.close_plan(task.plan_id, NOON)
    request = pb.CancelTaskRequest(task_id=task.task_id)
    assert (await mesh.stub.CancelTask(request)).task.state == pb.TASK_STATE_SUCCEEDED
