"""What is left of a workflow that nobody needs any longer."""

import asyncio
import gc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import pytest
from devteam_cli.temporal_server import TemporalServer
from devteam_planner.activities import PlanActivities
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.workflow_runner import TidyWorkflowRunner
from devteam_planner.workflows import PlanInput, PlanWorkflow, plan_input
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from devteam.mesh.clock import SystemClock
from tests.fakes.step_script import ScriptedDriver, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

_alive: WeakSet[PlanWorkflow] = WeakSet()


@workflow.defn(name="Plan")
class _Watched(PlanWorkflow):
    """The same, known for as long as it is in memory."""

    @workflow.init
    def __init__(self, plan: PlanInput) -> None:
        super().__init__(plan)
        _alive.add(self)

    @workflow.run
    async def run(self, plan: PlanInput) -> str:
        return await super().run(plan)


async def test_a_plan_that_ended_leaves_nothing_for_the_collector_of_garbage(dev_server: TemporalServer) -> None:
    """That hardly ever looks at what is old, and a plan that has waited for a while is."""
    plan, store, gate = plan_of(f"p-{uuid.uuid4().hex}", a=[]), MemoryPlanStore(), asyncio.Event()
    await store.add(plan)
    driver = ScriptedDriver(store, a=[gate])
    activities = PlanActivities(driver, store, lambda _: None, SystemClock())
    worker = Worker(
        await Client.connect(dev_server.address),
        task_queue=plan.plan_id,
        workflows=[_Watched],
        activities=[activities.run_step, activities.close_plan],
        workflow_runner=TidyWorkflowRunner(),
    )
    with _no_collector():
        async with worker, asyncio.timeout(60):
            running = await worker.client.start_workflow(
                _Watched.run, plan_input(plan), id=plan.plan_id, task_queue=plan.plan_id
            )
            await driver.has_begun(1)
            assert len(_alive) == 1
            gate.set()
            assert await running.result() == "succeeded"
            while _alive:  # noqa: ASYNC110 - the SDK evicts when it likes, and tells nobody
                await asyncio.sleep(0.05)


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
