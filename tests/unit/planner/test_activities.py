"""How Temporal is kept informed while a step is driven."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import StepOutcome, TaskState
from devteam_planner.store.memory import MemoryPlanStore
from temporalio.testing import ActivityEnvironment

from tests.fakes.clock import FakeClock
from tests.fakes.step_script import ScriptedDriver, plan_of


@pytest.mark.parametrize(("allowed", "pause"), [(10, 5), (30, 15)])
async def test_beats_come_in_half_of_the_time_that_a_step_may_be_silent(
    clock: FakeClock, allowed: int, pause: int
) -> None:
    gate, beats = asyncio.Event(), list[float]()
    store = MemoryPlanStore()
    await store.add(plan_of("p-1", a=[]))
    driver = ScriptedDriver(store, a=[gate])
    temporal = ActivityEnvironment()
    temporal.info = replace(temporal.info, heartbeat_timeout=timedelta(seconds=allowed))
    temporal.on_heartbeat = lambda *_: beats.append(clock.monotonic())
    began = clock.monotonic()
    activities = PlanActivities(driver, store, lambda _: None, clock)
    running = asyncio.create_task(temporal.run(activities.run_step, "p-1", "p-1.a"))
    await driver.has_begun(1)
    await _settled()
    for _ in range(2 * pause + 1):
        clock.advance(1)
        await _settled()
    gate.set()
    assert await running == StepOutcome(TaskState.SUCCEEDED)
    assert [beat - began for beat in beats] == [pause, 2 * pause]


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
