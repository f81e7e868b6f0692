"""Accepting plans and tasks, starting them, and stopping them."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from devteam_planner.admission import Admission, Bounds
from devteam_planner.bell import CHANGED, Bell
from devteam_planner.domain import Plan, PlanState, Step, TaskState
from devteam_planner.plans import Plans
from devteam_planner.store.memory import MemoryPlanStore

from devteam.mesh.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.planner_samples import FULL, NOON, PLAIN, a_plan, a_task
from tests.fakes.router_port import FakeRouter
from tests.fakes.workflows import FakeWorkflows

STEPS = [Step("a", PLAIN), Step("b", FULL, ("a",))]


class FailingStore(MemoryPlanStore):
    """Refuses to list what is unstarted while `down`."""

    down = False

    async def unstarted(self, limit: int) -> list[Plan]:
        if self.down:
            raise Unavailable("the disk is full")
        return await super().unstarted(limit)


@dataclass
class Setting:
    """Plans over memory and fakes."""

    clock: FakeClock
    store: FailingStore = field(default_factory=FailingStore)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    router: FakeRouter = field(default_factory=FakeRouter)
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        self.bell = Bell(self.clock)
        self.plans = Plans(
            store=self.store,
            admission=Admission(self.store, self.bounds, self.clock, jitter=lambda: 0.5),
            workflows=self.workflows,
            router=self.router,
            bell=self.bell,
            clock=self.clock,
            ids=CountingIds(),
        )

    async def create(self, request_id: str = "", digest: str = "") -> Plan:
        return await self.plans.create_plan("research", STEPS, {"topic": "tea"}, request_id=request_id, digest=digest)


@pytest.fixture
def setting(clock: FakeClock) -> Setting:
    return Setting(clock)


async def settled() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_plan_is_stored_and_started(setting: Setting) -> None:
    plan = await setting.plans.create_plan(
        "research", STEPS, {"topic": "tea"}, request_id="r-1", digest="d", trace_context={"traceparent": "x"}
    )
    assert plan == Plan(
        plan_id="p-1",
        name="research",
        state=PlanState.PENDING,
        input={"topic": "tea"},
        created_at=NOON,
        tasks=(a_task("p-1", "a"), a_task("p-1", "b", position=1, depends_on=["a"], spec=FULL)),
        request_id="r-1",
        request_digest="d",
        trace_context={"traceparent": "x"},
    )
    assert setting.workflows.started == {"p-1": plan}
    assert await setting.plans.get_plan("p-1") == replace(plan, state=PlanState.RUNNING, version=1)


async def test_a_task_of_its_own_is_a_plan_of_one_step(setting: Setting) -> None:
    task = await setting.plans.create_task(PLAIN)
    assert task == a_task("t-1", "task")
    assert (task.task_id, task.plan_id) == ("t-1", "t-1")
    assert setting.workflows.started["t-1"].sole
    assert await setting.plans.get_task("t-1") == task


async def test_a_repeated_request_is_answered_with_the_same_plan(setting: Setting) -> None:
    first = await setting.create("r-1", "d")
    again = await setting.create("r-1", "d")
    assert again.plan_id == first.plan_id
    assert list(setting.workflows.started) == ["p-1"]


async def test_a_request_id_with_another_body_is_refused(setting: Setting) -> None:
    await setting.create("r-1", "d")
    with pytest.raises(AlreadyExists) as refused:
        await setting.create("r-1", "other")
    assert refused.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(AlreadyExists):
        await setting.plans.create_task(PLAIN, request_id="r-1", digest="task")


async def test_what_temporal_does_not_know_yet_says_so(setting: Setting) -> None:
    setting.workflows.down = True
    plan = await setting.create()
    assert {task.wait_reason for task in plan.tasks} == {"accepted; waits for Temporal to start it"}
    assert await setting.plans.get_plan("p-1") == plan
    assert await setting.plans.get_task("p-1.a") == plan.tasks[0]
    setting.workflows.down = False
    plan = await setting.create()
    assert {task.wait_reason for task in plan.tasks} == {""}
    assert (await setting.plans.get_task(plan.tasks[0].task_id)).wait_reason == ""


async def test_a_plan_is_accepted_while_temporal_is_down(setting: Setting, clock: FakeClock) -> None:
    """It starts within two seconds of Temporal's return."""
    setting.workflows.down = True
    await setting.create()
    plan = await setting.store.plan("p-1")
    async with background(setting.plans.sweep):
        await settled()
        assert setting.workflows.started == {}
        setting.workflows.down = False
        clock.advance(2.0)
        await settled()
    assert setting.workflows.started == {"p-1": plan}
    assert (await setting.plans.get_plan("p-1")).state is PlanState.RUNNING


async def test_a_repeated_request_starts_what_could_not_be_started(setting: Setting) -> None:
    setting.workflows.down = True
    await setting.create("r-1", "d")
    setting.workflows.down = False
    await setting.create("r-1", "d")
    assert list(setting.workflows.started) == ["p-1"]


async def test_what_a_crash_left_unstarted_is_started_at_once(setting: Setting) -> None:
    """However much it is; with its steps, which the workflow needs."""
    for number in range(250):
        await setting.store.add(a_plan(f"p-{number}"))
    async with background(setting.plans.sweep):
        for _ in range(5):
            await settled()
    assert len(setting.workflows.started) == 250
    assert [task.step_id for task in setting.workflows.started["p-7"].tasks] == ["b", "a"]


async def test_the_sweep_survives_a_store_that_fails(setting: Setting, clock: FakeClock) -> None:
    await setting.store.add(a_plan())
    setting.store.down = True
    async with background(setting.plans.sweep):
        await settled()
        setting.store.down = False
        clock.advance(2.0)
        await settled()
    assert list(setting.workflows.started) == ["p-1"]


async def test_a_cancel_reaches_store_router_workflow_and_watchers(setting: Setting) -> None:
    await setting.create()
    await setting.store.begin_attempt("p-1.a", after=0, reason="", now=NOON)
    with setting.bell.listening("p-1") as listener:
        plan = await setting.plans.cancel_plan("p-1")
        assert await listener.heard(0) == {CHANGED}
    assert plan.cancel_requested_at == NOON
    assert setting.router.cancelled == [("p-1.a", 1)]
    assert setting.workflows.cancelled == ["p-1"]


async def test_a_cancel_counts_even_if_nobody_can_be_told(setting: Setting) -> None:
    await setting.create()
    await setting.store.begin_attempt("p-1.a", after=0, reason="", now=NOON)
    setting.router.down = setting.workflows.down = True
    assert (await setting.plans.cancel_plan("p-1")).cancel_requested_at == NOON


async def test_a_plan_that_has_ended_is_left_alone(setting: Setting) -> None:
    await setting.create()
    await setting.store.close_plan("p-1", NOON)
    plan = await setting.plans.cancel_plan("p-1")
    assert (plan.state, plan.cancel_requested_at) == (PlanState.FAILED, None)
    assert setting.workflows.cancelled == []


async def test_a_task_of_its_own_can_be_cancelled(setting: Setting) -> None:
    await setting.plans.create_task(PLAIN)
    await setting.store.begin_attempt("t-1", after=0, reason="", now=NOON)
    assert (await setting.plans.cancel_task("t-1")).state is TaskState.QUEUED
    assert setting.router.cancelled == [("t-1", 1)]
    assert setting.workflows.cancelled == ["t-1"]


@pytest.mark.parametrize("step", ["a", "task"])
async def test_a_step_of_a_plan_cannot_be_cancelled(setting: Setting, step: str) -> None:
    """Not even one that is named like a task of its own."""
    plan = await setting.plans.create_plan("p", [Step(step, PLAIN)], {})
    with pytest.raises(FailedPrecondition) as refused:
        await setting.plans.cancel_task(plan.tasks[0].task_id)
    assert (refused.value.reason, refused.value.metadata) == ("STEP_OF_PLAN", {"plan_id": "p-1"})
    assert setting.workflows.cancelled == []


async def test_what_is_not_there_cannot_be_cancelled(setting: Setting) -> None:
    for cancel in (setting.plans.cancel_plan("p-9"), setting.plans.cancel_task("t-9")):
        with pytest.raises(NotFound):
            await cancel
