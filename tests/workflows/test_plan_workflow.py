"""The order of steps, on a server whose clock jumps, in the sandbox that refuses what must not be in a workflow."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import Plan, StepOutcome, TaskState
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.temporal import plan_worker, workflow_id
from devteam_planner.workflows import PlanInput, PlanWorkflow, plan_input
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import NotFound, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.step_script import Scene, ScriptedDriver, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIAMOND = {"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right"]}
FAILED = StepOutcome(TaskState.FAILED)


def later(seconds: float) -> StepOutcome:
    return StepOutcome(TaskState.QUEUED, seconds)


@dataclass
class Stage:
    """A plan under way."""

    environment: WorkflowEnvironment
    plan: Plan
    store: MemoryPlanStore
    driver: ScriptedDriver
    rung: list[str]
    handle: WorkflowHandle[PlanWorkflow, str]

    async def end(self) -> str:
        async with asyncio.timeout(60):
            return await self.handle.result()

    async def states(self) -> dict[str, str]:
        return {task.step_id: task.state.value for task in (await self.store.plan(self.plan.plan_id)).tasks}

    def begun(self) -> list[str]:
        """The steps of all attempts, in order."""
        return [task_id.removeprefix(f"{self.plan.plan_id}.") for task_id in self.driver.begun]


@asynccontextmanager
async def playing(
    environment: WorkflowEnvironment, depends_on: dict[str, list[str]], **scenes: list[Scene]
) -> AsyncIterator[Stage]:
    """Start a plan whose steps play these scenes."""
    plan, store, rung = plan_of(f"p-{uuid.uuid4().hex}", **depends_on), MemoryPlanStore(), list[str]()
    await store.add(plan)
    driver = ScriptedDriver(store, **scenes)
    activities = PlanActivities(driver, store, rung.append, SystemClock())
    async with plan_worker(environment.client, activities, task_queue=plan.plan_id, sandboxed=True):
        handle = await environment.client.start_workflow(
            PlanWorkflow.run, plan_input(plan), id=workflow_id(plan.plan_id), task_queue=plan.plan_id
        )
        yield Stage(environment, plan, store, driver, rung, handle)


async def test_a_chain_runs_in_order(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"c": ["b"], "b": ["a"], "a": []}) as stage:
        assert await stage.end() == "succeeded"
        assert stage.begun() == ["a", "b", "c"]
        assert stage.driver.most_at_once == 1
        assert stage.rung == [stage.plan.plan_id]


async def test_steps_that_are_ready_run_at_the_same_time(skipping: WorkflowEnvironment) -> None:
    gate = asyncio.Event()
    async with playing(skipping, DIAMOND, left=[gate], right=[gate]) as stage:
        await stage.driver.has_begun(3)
        assert sorted(stage.begun()) == ["left", "right", "top"]
        gate.set()
        assert await stage.end() == "succeeded"
        assert stage.begun()[-1] == "bottom"
        assert stage.driver.most_at_once == 2


async def test_all_ready_steps_start_in_one_workflow_task(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {f"s{number}": [] for number in range(50)}) as stage:
        assert await stage.end() == "succeeded"
        history = await stage.handle.fetch_history()
        scheduled = [event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")]
        tasks = {event.activity_task_scheduled_event_attributes.workflow_task_completed_event_id for event in scheduled}
        assert (len(scheduled), len(tasks)) == (50, 1)


async def test_a_step_named_task_of_its_own_runs(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"task": []}) as stage:
        assert await stage.end() == "succeeded"
        assert stage.driver.begun == [stage.plan.plan_id]


async def test_a_failure_skips_what_depends_on_it_and_nothing_else(skipping: WorkflowEnvironment) -> None:
    depends_on = {"bad": [], "after": ["bad"], "last": ["after"], "good": [], "better": ["good"]}
    async with playing(skipping, depends_on, bad=[FAILED]) as stage:
        assert await stage.end() == "failed"
        assert await stage.states() == {
            "bad": "failed",
            "after": "skipped",
            "last": "skipped",
            "good": "succeeded",
            "better": "succeeded",
        }


async def test_a_step_that_is_queued_again_waits_as_long_as_it_was_told(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"a": []}, a=[later(0.0), later(3600.0)]) as stage:
        assert await stage.end() == "succeeded"
        assert stage.begun() == ["a", "a", "a"]
        events = (await stage.handle.fetch_history()).events
        assert 3600 <= events[-1].event_time.seconds - events[0].event_time.seconds < 3660


async def test_an_unavailable_store_is_tried_again(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"a": []}, a=[Unavailable("not now"), RuntimeError("a secret of a")]) as stage:
        assert await stage.end() == "succeeded"
        assert stage.begun() == ["a", "a", "a"]


async def test_a_step_that_does_not_exist_fails_and_the_plan_ends(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"a": [], "b": ["a"]}, a=[NotFound("task", "a")]) as stage:
        assert await stage.end() == "failed"
        assert stage.begun() == ["a"]


async def test_a_cancelled_plan_starts_nothing_more(skipping: WorkflowEnvironment) -> None:
    gate = asyncio.Event()
    async with playing(skipping, {"a": [], "b": ["a"]}, a=[gate]) as stage:
        await stage.driver.has_begun(1)
        await stage.store.request_cancel(stage.plan.plan_id, FakeClock().now())
        await stage.handle.signal(PlanWorkflow.cancel)
        gate.set()
        assert await stage.end() == "cancelled"
        assert await stage.states() == {"a": "cancelled", "b": "cancelled"}


async def test_a_cancel_cuts_the_wait_for_another_attempt_short(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, {"a": [], "b": []}, a=[later(86_400.0)], b=[FAILED]) as stage:
        await skipping.sleep(60)  # beyond both attempts
        await stage.store.request_cancel(stage.plan.plan_id, FakeClock().now())
        await stage.handle.signal(PlanWorkflow.cancel)
        assert await stage.end() == "cancelled"
        assert stage.begun().count("a") == 1
        kinds = {event.event_type for event in (await stage.handle.fetch_history()).events}
        assert EventType.EVENT_TYPE_TIMER_CANCELED in kinds


async def test_a_new_run_goes_on_with_what_has_not_ended(skipping: WorkflowEnvironment) -> None:
    """What a plan with a history too long hands to its next run."""
    plan, store = plan_of(f"p-{uuid.uuid4().hex}", a=[], b=["a"], c=["b"], bad=[], after=["bad"]), MemoryPlanStore()
    await store.add(plan)
    driver = ScriptedDriver(store)
    activities = PlanActivities(driver, store, lambda _: None, SystemClock())
    ended = {"a": TaskState.SUCCEEDED, "bad": TaskState.FAILED}
    again = PlanInput(plan.plan_id, plan_input(plan).steps, ended)
    async with plan_worker(skipping.client, activities, task_queue=plan.plan_id, sandboxed=True):
        await skipping.client.execute_workflow(
            PlanWorkflow.run, again, id=workflow_id(plan.plan_id), task_queue=plan.plan_id
        )
    assert driver.begun == [f"{plan.plan_id}.b", f"{plan.plan_id}.c"]


async def test_history_holds_no_prompt_and_no_output(skipping: WorkflowEnvironment) -> None:
    async with playing(skipping, DIAMOND, top=[RuntimeError("a secret of top")]) as stage:
        await stage.end()
        history = (await stage.handle.fetch_history()).to_json()
    assert "secret" not in history
    assert "says" not in history


async def test_a_plan_without_its_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="without its tasks"):
        plan_input(plan_of("p-1"))
