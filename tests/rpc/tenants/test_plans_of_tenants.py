"""Lists, watches and creates, each for the tenant and in the queues of the caller's key."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from devteam_planner.domain import Task
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.channel import TENANT_KEY
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import run_pb2
from tests.fakes.callers import CALLERS, Believing, called
from tests.fakes.clock import FakeClock
from tests.rpc.planner.mesh import Mesh, refusal, running, step

PATIENCE = 60.0


@pytest.fixture(params=["memory", "sqlite_url"])
async def mesh(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Mesh]:
    url = request.param if request.param == "memory" else request.getfixturevalue(request.param)
    async with running(clock, url, authorizer=Believing(CALLERS)) as started:
        yield started


async def create(mesh: Mesh, by: str, *, saying: str = "", **spec: Any) -> pb.Task:
    metadata = (*called(by), *(((TENANT_KEY, saying),) if saying else ()))
    request = pb.CreateTaskRequest(task=pb.TaskSpec(**{"prompt": "hi", "model": "sim", **spec}))
    return (await mesh.stub.CreateTask(request, metadata=metadata)).task


async def create_plan(mesh: Mesh, by: str, *steps: pb.StepSpec, request_id: str = "") -> pb.Plan:
    request = pb.CreatePlanRequest(name="research", steps=steps or [step("a")], request_id=request_id)
    return (await mesh.stub.CreatePlan(request, metadata=called(by))).plan


async def listed(mesh: Mesh, by: str, token: str = "", size: int = 50) -> tuple[list[str], str]:
    request = pb.ListTasksRequest(page_size=size, page_token=token)
    page = await mesh.stub.ListTasks(request, metadata=called(by))
    return [task.task_id for task in page.tasks], page.next_page_token


async def test_what_is_created_is_the_tenants_of_the_key(mesh: Mesh) -> None:
    """A key of no tenant acts for whom it names, or else for the default one."""
    assert (await create(mesh, "acme")).tenant == "acme"
    assert (await create(mesh, "acme", saying="acme")).tenant == "acme"
    assert (await create(mesh, "operator", saying="globex")).tenant == "globex"
    assert (await create(mesh, "operator")).tenant == "default"
    assert (await create_plan(mesh, "globex")).tasks[0].tenant == "globex"


async def test_a_key_cannot_act_for_another_tenant(mesh: Mesh) -> None:
    code, error = await refusal(create(mesh, "acme", saying="globex"))
    assert (code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_NOT_ALLOWED")
    assert "acme" in error.message


async def test_lists_hold_ones_own_only(mesh: Mesh) -> None:
    mine = [(await create(mesh, "acme")).task_id for _ in range(2)]
    others = [(await create(mesh, "globex")).task_id for _ in range(2)]
    assert await listed(mesh, "acme") == (mine[::-1], "")
    assert await listed(mesh, "globex") == (others[::-1], "")
    assert await listed(mesh, "operator") == ([*others[::-1], *mine[::-1]], "")
    plans = {by: (await create_plan(mesh, by)).plan_id for by in ("acme", "globex")}
    for by, plan_id in plans.items():
        page = await mesh.stub.ListPlans(pb.ListPlansRequest(), metadata=called(by))
        assert [plan.plan_id for plan in page.plans] == [plan_id]


async def test_the_page_token_of_another_tenant_leads_to_nothing_of_its(mesh: Mesh) -> None:
    """It says where to go on, and not whose things to show."""
    mine, others = [], []
    for _ in range(3):
        mine.append((await create(mesh, "acme")).task_id)
        others.append((await create(mesh, "globex")).task_id)
    page, token = await listed(mesh, "globex", size=1)
    assert page == others[2:]
    assert await listed(mesh, "acme", token) == (mine[::-1], "")
    rest, last = await listed(mesh, "globex", token, size=2)
    assert (rest, last) == (others[1::-1], "")


async def test_the_same_request_of_two_tenants_is_two_tasks(mesh: Mesh) -> None:
    first = await create_plan(mesh, "acme", request_id="r-1")
    other = await create_plan(mesh, "globex", request_id="r-1")
    assert first.plan_id != other.plan_id
    assert (await create_plan(mesh, "acme", request_id="r-1")).plan_id == first.plan_id
    assert (await create_plan(mesh, "globex", step("other"), request_id="r-2")).tenant == "globex"


class TestQueues:
    async def test_a_key_uses_its_queues_only(self, mesh: Mesh) -> None:
        assert (await create(mesh, "two-queues-client", queue="cpu")).spec.queue == "cpu"
        code, error = await refusal(create(mesh, "two-queues-client", queue="secret"))
        assert (code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "QUEUE_NOT_ALLOWED")
        assert error.message == "task.queue: queue 'secret' is not one of this key's: gpu, cpu"
        assert error.metadata == {"field": "task.queue"}

    async def test_the_refusal_names_the_step(self, mesh: Mesh) -> None:
        call = create_plan(mesh, "two-queues-client", step("a", queue="gpu"), step("b", queue="other"))
        _, error = await refusal(call)
        assert error.message.startswith("steps[1].queue: queue 'other'")
        assert await mesh.store.plans(state=None, before="", limit=9) == []

    async def test_a_key_of_one_queue_need_not_name_it(self, mesh: Mesh) -> None:
        assert (await create(mesh, "gpu-client")).spec.queue == "gpu"
        plan = await create_plan(mesh, "gpu-client", step("a"), step("b", queue="gpu"))
        assert [task.spec.queue for task in plan.tasks] == ["gpu", "gpu"]

    async def test_a_key_of_several_has_to(self, mesh: Mesh) -> None:
        _, error = await refusal(create(mesh, "two-queues-client"))
        assert error.message == "task.queue: this key has to name a queue: gpu, cpu"

    async def test_what_a_task_prefers_has_to_be_allowed_too(self, mesh: Mesh) -> None:
        allowed = run_pb2.Placement(preferred_queues=["cpu", "gpu"])
        assert (await create(mesh, "two-queues-client", placement=allowed)).spec.queue == ""
        refused = run_pb2.Placement(preferred_queues=["cpu", "other"])
        _, error = await refusal(create(mesh, "two-queues-client", placement=refused))
        assert error.message.startswith("task.placement.preferred_queues[1]: queue 'other'")
        _, error = await refusal(create(mesh, "gpu-client", placement=refused))
        assert error.reason == "QUEUE_NOT_ALLOWED"


class TestOnlookers:
    async def test_they_are_told_of_their_own_only(self, mesh: Mesh) -> None:
        """What is open at the beginning, and what has ended, and what changes later, and the counts of tokens."""
        mine, others = await create(mesh, "acme"), await create(mesh, "globex")
        ended = await create(mesh, "acme")
        for done in (ended, await create(mesh, "globex")):
            await mesh.begin(done.task_id)
            await mesh.succeed(done.task_id, "done")
        since = Timestamp()
        since.FromDatetime(mesh.clock.now())
        call = mesh.stub.WatchTasks(pb.WatchTasksRequest(since=since, progress=True), metadata=called("acme"))
        seen = [task.task_id async for task in beginning(call)]
        assert sorted(seen) == sorted([mine.task_id, ended.task_id])
        for task in (others, mine):
            await mesh.begin(task.task_id)
        later = await told(mesh, call, mine.task_id)
        call.cancel()
        assert {task.task_id for task in later.tasks} | {count.task_id for count in later.progress} == {mine.task_id}

    async def test_one_who_fell_behind_reads_nothing_of_others(self, clock: FakeClock) -> None:
        async with running(clock, backlog=1, authorizer=Believing(CALLERS)) as mesh:
            call = mesh.stub.WatchTasks(pb.WatchTasksRequest(), metadata=called("acme"))
            assert [task async for task in beginning(call)] == []
            mine = {(await create(mesh, "acme")).task_id for _ in range(3)}
            for _ in range(3):
                await create(mesh, "globex")
            seen = set[str]()
            while not mine <= seen:
                seen |= {task.task_id for task in (await next_news(mesh, call)).tasks}
            call.cancel()
            assert seen == mine


async def beginning(call: Any) -> AsyncIterator[pb.Task]:
    """The tasks that a watch begins with."""
    while not (news := await asyncio.wait_for(call.read(), PATIENCE)).current:
        for task in news.tasks:
            yield task


async def next_news(mesh: Mesh, call: Any) -> pb.WatchTasksResponse:
    """What a watch tells next, while time passes."""
    reading = asyncio.ensure_future(call.read())
    async with asyncio.timeout(PATIENCE):
        while not reading.done():
            mesh.clock.advance(0.2)
            await asyncio.wait([reading], timeout=0.01)
    news = reading.result()
    assert isinstance(news, pb.WatchTasksResponse), "the watch ended"
    return news


async def told(mesh: Mesh, call: Any, task_id: str) -> pb.WatchTasksResponse:
    """All that a watch tells until it has told of a task, and of its tokens."""
    heard = pb.WatchTasksResponse()
    while task_id not in {count.task_id for count in heard.progress}:
        heard.MergeFrom(await next_news(mesh, call))
    return heard


async def test_who_watches_anothers_plan_and_leaves_at_once_cancels_nothing(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the store takes: whose plan it is, is known before anything is made of the watcher's leaving."""
    plan = await create_plan(mesh, "acme")
    reading = asyncio.Event()

    async def slow(_: str) -> tuple[int, dict[str, int]]:
        reading.set()
        await asyncio.Event().wait()
        return 0, {}

    monkeypatch.setattr(mesh.store, "versions", slow)
    request = pb.WatchPlanRequest(plan_id=plan.plan_id, cancel_on_disconnect=True)
    call = mesh.stub.WatchPlan(request, metadata=called("globex"))
    refused = asyncio.ensure_future(refusal(call.read()))
    begun = asyncio.ensure_future(reading.wait())
    await asyncio.wait([refused, begun], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    call.cancel()
    begun.cancel()
    assert not reading.is_set()
    assert (await refused)[0] is grpc.StatusCode.NOT_FOUND


async def test_who_watches_anothers_task_and_leaves_at_once_cancels_nothing(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with plans; the first look at the task is the one that tells whose it is."""
    task, look = await create(mesh, "acme"), mesh.store.task
    looks, again = list[str](), asyncio.Event()

    async def looking(task_id: str) -> Task:
        looks.append(task_id)
        if len(looks) > 1:
            again.set()
            await asyncio.Event().wait()
        return await look(task_id)

    monkeypatch.setattr(mesh.store, "task", looking)
    request = pb.WatchTaskRequest(task_id=task.task_id, cancel_on_disconnect=True)
    call = mesh.stub.WatchTask(request, metadata=called("globex"))
    refused = asyncio.ensure_future(refusal(call.read()))
    begun = asyncio.ensure_future(again.wait())
    await asyncio.wait([refused, begun], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    call.cancel()
    begun.cancel()
    assert not again.is_set()
    assert (await refused)[0] is grpc.StatusCode.NOT_FOUND
