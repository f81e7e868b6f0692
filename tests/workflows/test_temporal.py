"""Plans on the server of `devteam up`, as in production: without the sandbox."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from devteam_cli.temporal_server import TemporalServer
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import TAKEOVER, Plan, StepOutcome, TaskState
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.temporal import TemporalWorkflows, connect, plan_worker, work, workflow_id
from devteam_planner.workflows import PlanWorkflow
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import cancelled
from tests.fakes.clock import FakeClock
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.relay import Relay
from tests.fakes.step_script import Scene, ScriptedDriver, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Stage:
    """A plan that is stored, and a worker for it."""

    plan: Plan
    store: MemoryPlanStore
    driver: ScriptedDriver
    workflows: TemporalWorkflows
    handle: WorkflowHandle[PlanWorkflow, str]

    async def end(self) -> str:
        async with asyncio.timeout(60):
            return await self.handle.result()


@asynccontextmanager
async def staged(
    server: TemporalServer,
    depends_on: dict[str, list[str]],
    *,
    takeover: float = TAKEOVER,
    cache: int = 500,
    **scenes: list[Scene],
) -> AsyncIterator[Stage]:
    plan = replace(plan_of(f"p-{uuid.uuid4().hex}", **depends_on), trace_context={"traceparent": "00-ab-cd-01"})
    store = MemoryPlanStore()
    await store.add(plan)
    driver = ScriptedDriver(store, **scenes)
    client = await connect(server.address, "default", SystemClock())
    activities = PlanActivities(driver, store, lambda _: None, SystemClock())
    workflows = TemporalWorkflows(client, task_queue=plan.plan_id, patience=60.0, takeover=takeover)
    async with plan_worker(client, activities, task_queue=plan.plan_id, max_cached_workflows=cache):
        handle = client.get_workflow_handle_for(PlanWorkflow.run, workflow_id(plan.plan_id))
        yield Stage(plan, store, driver, workflows, handle)


async def test_a_plan_starts_in_the_process_that_took_it_and_runs_to_its_end(dev_server: TemporalServer) -> None:
    async with staged(dev_server, {"a": [], "b": ["a"]}, a=[StepOutcome(TaskState.QUEUED, 0.01)]) as stage:
        await stage.workflows.start(stage.plan)
        assert await stage.end() == "succeeded"
        started = (await stage.handle.fetch_history()).events[0].workflow_execution_started_event_attributes
        assert started.eager_execution_accepted
    assert [task_id.rpartition(".")[2] for task_id in stage.driver.begun] == ["a", "a", "b"]


async def test_a_plan_that_left_the_cache_goes_on_where_it_was(dev_server: TemporalServer) -> None:
    """Another one that begins takes the only place in it while the first one waits."""
    gate = asyncio.Event()
    async with staged(dev_server, {"a": [], "b": ["a"]}, cache=1, a=[gate]) as stage:
        await stage.workflows.start(stage.plan)
        await stage.driver.has_begun(1)
        other = plan_of(f"p-{uuid.uuid4().hex}", c=[])
        await stage.store.add(other)
        await stage.workflows.start(other)
        await stage.driver.has_begun(2)
        gate.set()
        assert await stage.end() == "succeeded"
    assert [task_id.rpartition(".")[2] for task_id in stage.driver.begun] == ["a", "c", "b"]


@pytest.mark.parametrize("takeover", [TAKEOVER, 30.0])
async def test_temporal_is_told_how_long_a_step_may_be_silent(dev_server: TemporalServer, takeover: float) -> None:
    async with staged(dev_server, {"a": []}, takeover=takeover) as stage:
        await stage.workflows.start(stage.plan)
        assert await stage.end() == "succeeded"
        events = (await stage.handle.fetch_history()).events
    told = [event.activity_task_scheduled_event_attributes.heartbeat_timeout.ToTimedelta() for event in events]
    assert timedelta(seconds=takeover) in told


async def test_starting_a_plan_again_changes_nothing(dev_server: TemporalServer) -> None:
    gate = asyncio.Event()
    async with staged(dev_server, {"a": []}, a=[gate]) as stage:
        await stage.workflows.start(stage.plan)
        await stage.driver.has_begun(1)
        await stage.workflows.start(stage.plan)
        gate.set()
        assert await stage.end() == "succeeded"
        await stage.workflows.start(stage.plan)
        assert await stage.end() == "succeeded"
    assert len(stage.driver.begun) == 1


async def test_a_plan_is_cancelled_by_name(dev_server: TemporalServer) -> None:
    gate = asyncio.Event()
    async with staged(dev_server, {"a": [], "b": ["a"]}, a=[gate]) as stage:
        await stage.workflows.start(stage.plan)
        await stage.driver.has_begun(1)
        await stage.store.request_cancel(stage.plan.plan_id, FakeClock().now())
        await stage.workflows.cancel(stage.plan.plan_id)
        gate.set()
        assert await stage.end() == "cancelled"
        await stage.workflows.cancel(stage.plan.plan_id)
    assert len(stage.driver.begun) == 1


async def test_cancelling_an_unknown_plan_is_ignored(dev_server: TemporalServer) -> None:
    client = await Client.connect(dev_server.address)
    await TemporalWorkflows(client, task_queue="nobody", patience=60.0).cancel("p-unknown")


@pytest.mark.slow  # Temporal takes half a minute
async def test_a_plan_is_forgotten_with_its_history(dev_server: TemporalServer) -> None:
    """One that is unknown, or forgotten already, is ignored."""
    async with staged(dev_server, {"a": []}) as stage:
        await stage.workflows.start(stage.plan)
        assert await stage.end() == "succeeded"
        for _ in range(2):
            await stage.workflows.forget([stage.plan.plan_id, "p-unknown"])
        async with asyncio.timeout(60):
            while await _is_known(stage):  # noqa: ASYNC110 - Temporal deletes when it finds the time, and tells nobody
                await asyncio.sleep(0.05)


async def _is_known(stage: Stage) -> bool:
    try:
        await stage.handle.fetch_history()
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return True


async def test_a_step_is_taken_over_by_the_worker_that_comes_next(dev_server: TemporalServer) -> None:
    gate = asyncio.Event()
    async with staged(dev_server, {"a": []}, a=[gate]) as stage:
        await stage.workflows.start(stage.plan)
        await stage.driver.has_begun(1)
    client = await connect(dev_server.address, "default", SystemClock())
    activities = PlanActivities(stage.driver, stage.store, lambda _: None, SystemClock())
    async with plan_worker(client, activities, task_queue=stage.plan.plan_id):
        assert await stage.end() == "succeeded"
    assert len(stage.driver.begun) == 2


async def test_a_temporal_that_is_away_is_unavailable(dev_server: TemporalServer) -> None:
    relay = relay_to(dev_server)
    client = await connect(f"127.0.0.1:{relay.open()}", "default", SystemClock())
    workflows = TemporalWorkflows(client, task_queue="nobody", patience=0.3)
    await relay.cut()
    for call in (workflows.start(plan_of("p-1", a=[])), workflows.cancel("p-1"), workflows.forget(["p-1"])):
        with pytest.raises(Unavailable, match="Temporal does not answer"):
            await call


async def test_a_namespace_that_does_not_exist_is_no_started_plan(dev_server: TemporalServer) -> None:
    client = await connect(dev_server.address, "nowhere", SystemClock())
    with pytest.raises(Unavailable):
        await TemporalWorkflows(client, task_queue="nobody", patience=0.3).start(plan_of("p-1", a=[]))


async def test_connecting_waits_until_temporal_answers(dev_server: TemporalServer) -> None:
    relay = relay_to(dev_server)
    port = relay.open()
    await relay.cut()
    clock = _ClockThatOpens(relay, port)
    async with asyncio.timeout(60):
        client = await connect(f"127.0.0.1:{port}", "default", clock)
    assert await client.service_client.check_health()
    assert len(clock.slept) == 2
    await relay.cut()


async def test_a_worker_that_finds_no_namespace_is_followed_by_another(dev_server: TemporalServer) -> None:
    store, clock = MemoryPlanStore(), HastyClock()
    activities = PlanActivities(ScriptedDriver(store), store, lambda _: None, SystemClock())
    nowhere = await connect(dev_server.address, "nowhere", SystemClock())
    here = await connect(dev_server.address, "default", SystemClock())
    plan = plan_of(f"p-{uuid.uuid4().hex}", a=[])
    await store.add(plan)
    clients = iter((nowhere, nowhere, here))
    working = asyncio.create_task(work(lambda: plan_worker(next(clients), activities, task_queue=plan.plan_id), clock))
    await TemporalWorkflows(here, task_queue=plan.plan_id, patience=60.0).start(plan)
    async with asyncio.timeout(60):
        handle = here.get_workflow_handle_for(PlanWorkflow.run, workflow_id(plan.plan_id))
        assert await handle.result() == "succeeded"
    await cancelled(working)
    assert len(clock.slept) == 2


async def test_without_a_client_temporal_is_away() -> None:
    workflows = TemporalWorkflows(task_queue="nobody")
    for call in (workflows.start(plan_of("p-1", a=[])), workflows.cancel("p-1"), workflows.forget(["p-1"])):
        with pytest.raises(Unavailable, match="Temporal does not answer"):
            await call


@pytest.mark.slow
async def test_a_plan_of_very_many_attempts_goes_on_in_a_new_run(dev_server: TemporalServer) -> None:
    again: list[Scene] = [StepOutcome(TaskState.QUEUED)] * 900
    async with staged(dev_server, {"a": [], "b": ["a"], "c": []}, a=again) as stage:
        await stage.workflows.start(stage.plan)
        assert await stage.end() == "succeeded"
        first = (await stage.handle.describe()).run_id
    started = stage.handle.result_run_id
    assert first != started
    assert len(stage.driver.begun) == 903


class _ClockThatOpens(HastyClock):
    """Opens the line while somebody pauses for the second time."""

    def __init__(self, relay: Relay, port: int) -> None:
        super().__init__()
        self._relay = relay
        self._port = port

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if len(self.slept) == 2:
            self._relay.open(self._port)


def relay_to(server: TemporalServer) -> Relay:
    host, _, port = server.address.partition(":")
    return Relay(host, int(port))
