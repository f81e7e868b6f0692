"""What is forgotten, when, and what is told of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from devteam_planner.domain import Plan, PlanState, TaskState
from devteam_planner.erasure import BATCH, Erased, Erasure, Head, Retention
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_erasure import MemoryErasures

from devteam.mesh.errors import NotFound, Unavailable
from devteam.mesh.tasks import background
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.planner_samples import a_plan, a_sole_task
from tests.fakes.workflows import FakeWorkflows


class Scrubbed(MemoryErasures):
    """Notes when it was asked to leave no trace; refuses while `down`."""

    scrubs = 0
    down = False

    async def scrub(self) -> None:
        self.scrubs += 1

    async def heads(self, *, sole: bool, after: str, limit: int) -> list[Head]:
        if self.down:
            raise Unavailable("the disk is full")
        return await super().heads(sole=sole, after=after, limit=limit)


@dataclass
class Scene:
    clock: HastyClock = field(default_factory=HastyClock)
    plans: MemoryPlanStore = field(default_factory=MemoryPlanStore)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    cancelled: list[str] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    # What a cancel does beside being noted: end the plan, or not.
    stops: bool = True

    def __post_init__(self) -> None:
        self.store = Scrubbed(self.plans, MemoryTokenStore(self.plans))
        self.erasure = Erasure(
            self.store, self.plans, self.workflows, self.clock, cancel=self.cancel, ring=self.rung.append
        )

    async def cancel(self, plan_id: str) -> None:
        self.cancelled.append(plan_id)
        await self.plans.request_cancel(plan_id, self.clock.now())
        if self.stops:
            await self.plans.close_plan(plan_id, self.clock.now())

    async def add(self, plan: Plan, tenant: str = "acme", *, ended: bool = True, at: datetime | None = None) -> None:
        at = at or self.clock.now()
        await self.plans.add(replace(plan, tenant=tenant, created_at=at))
        if ended:
            await self.plans.close_plan(plan.plan_id, at)

    async def told(self, tenant: str = "acme") -> Sequence[Erased]:
        async with asyncio.timeout(60):
            return [erased async for erased in self.erasure.of_tenant(tenant)]

    def left(self) -> set[str]:
        return set(self.plans.all_plans())


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_all_of_a_tenant_goes_and_nothing_of_another(scene: Scene) -> None:
    """Plans and tasks of their own, in batches, each of which is told; and Temporal forgets them too."""
    for number in range(BATCH + 1):
        await scene.add(a_plan(f"p-{number:03}"))
    await scene.add(a_sole_task("t-1"))
    await scene.add(a_plan("p-other"), "other")
    assert await scene.told() == [
        Erased(BATCH, 2 * BATCH),
        Erased(BATCH + 1, 2 * BATCH + 2),
        Erased(BATCH + 2, 2 * BATCH + 3),
        Erased(BATCH + 2, 2 * BATCH + 3, done=True),
    ]
    assert scene.left() == {"p-other"}
    assert len(scene.workflows.forgotten) == BATCH + 2
    assert set(scene.rung) == set(scene.workflows.forgotten)
    assert (scene.cancelled, scene.store.scrubs) == ([], 1)


async def test_nothing_to_erase_is_done_at_once(scene: Scene) -> None:
    await scene.add(a_plan("p-other"), "other")
    assert await scene.told() == [Erased(done=True)]


async def test_what_is_open_is_cancelled_and_waited_for(scene: Scene) -> None:
    await scene.add(a_plan("p-1"))
    await scene.add(a_plan("p-2"), ended=False)
    assert await scene.told() == [Erased(1, 2, waiting_for=1), Erased(2, 4), Erased(2, 4, done=True)]
    assert (scene.cancelled, scene.left()) == (["p-2"], set())


async def test_what_does_not_stop_is_ended_after_a_minute(scene: Scene) -> None:
    """A worker that is deaf, or a Temporal that is away, keeps nothing from being erased."""
    scene.stops = False
    await scene.add(a_plan("p-1"), ended=False)
    assert await scene.told() == [Erased(waiting_for=1), Erased(1, 2), Erased(1, 2, done=True)]
    assert sum(scene.clock.slept) == pytest.approx(60, abs=1)
    assert scene.left() == set()


async def test_what_is_created_meanwhile_stays(scene: Scene) -> None:
    """Else a tenant that goes on would never be done with."""
    await scene.add(a_plan("p-1"), at=scene.clock.now() + timedelta(seconds=1))
    assert await scene.told() == [Erased(done=True)]
    assert scene.left() == {"p-1"}


async def test_one_that_somebody_else_erases_meanwhile_is_no_trouble(scene: Scene) -> None:
    async def vanished(plan_id: str) -> None:
        scene.plans.forget(plan_id)
        raise NotFound("plan", plan_id)

    await scene.add(a_plan("p-1"), ended=False)
    erasure = Erasure(scene.store, scene.plans, scene.workflows, scene.clock, cancel=vanished, ring=scene.rung.append)
    told = [erased async for erased in erasure.of_tenant("acme")]
    assert told[-1] == Erased(done=True)


async def test_a_temporal_that_is_away_keeps_nothing_from_being_erased(scene: Scene) -> None:
    await scene.add(a_plan("p-1"))
    scene.workflows.down = True
    assert (await scene.told())[-1] == Erased(1, 2, done=True)


async def test_a_call_that_breaks_off_is_gone_on_with(scene: Scene) -> None:
    for number in range(BATCH + 5):
        await scene.add(a_plan(f"p-{number:03}"))
    telling = scene.erasure.of_tenant("acme")
    assert await anext(telling) == Erased(BATCH, 2 * BATCH)
    await telling.aclose()
    assert len(scene.left()) == 5
    assert (await scene.told())[-1] == Erased(5, 10, done=True)


async def test_what_ended_long_ago_goes(scene: Scene) -> None:
    """By its end, not by its beginning; what is open stays however old it is."""
    now, day = scene.clock.now(), timedelta(days=1)
    await scene.add(a_plan("p-1"), at=now - 9 * day)
    await scene.add(a_plan("p-2"), ended=False, at=now - 9 * day)
    await scene.add(a_plan("p-3"), ended=False, at=now - 8 * day)
    await scene.plans.close_plan("p-3", now)
    await scene.add(a_plan("p-4"), at=now - 8 * day)
    await scene.add(a_plan("p-5"), at=now - day)
    await scene.add(a_sole_task("t-1"), at=now - 9 * day)
    assert await scene.erasure.older_than(now - 7 * day) == Erased(3, 5)
    assert scene.left() == {"p-2", "p-3", "p-5"}
    assert (await scene.plans.plan("p-2")).state is PlanState.PENDING
    assert {task.state for task in (await scene.plans.plan("p-2")).tasks} == {TaskState.PENDING}
    assert (scene.cancelled, scene.store.scrubs) == ([], 0)


async def test_what_is_young_is_not_even_looked_at(scene: Scene) -> None:
    looks = 0

    async def heads(*, sole: bool, after: str, limit: int) -> list[Head]:
        nonlocal looks
        looks += 1
        return await MemoryErasures.heads(scene.store, sole=sole, after=after, limit=limit)

    scene.store.heads = heads  # type: ignore[method-assign]  # a fake that counts
    for number in range(3 * BATCH):
        await scene.add(a_plan(f"p-{number:03}"))
    assert await scene.erasure.older_than(scene.clock.now() - timedelta(days=1)) == Erased()
    assert looks == 2, "one page of plans, and one of tasks of their own"


async def test_retention_goes_on_every_hour_and_soon_after_a_failure(scene: Scene) -> None:
    await scene.add(a_plan("p-1"), at=scene.clock.now() - timedelta(days=8))
    scene.store.down = True
    async with asyncio.timeout(60), background(Retention(scene.erasure, timedelta(days=7), scene.clock).run):
        while len(scene.clock.slept) < 2:  # noqa: ASYNC110 - a clock rings no bell
            await asyncio.sleep(0)
        assert scene.clock.slept[:2] == [60.0, 60.0]
        assert scene.left() == {"p-1"}
        scene.store.down = False
        while 3600.0 not in scene.clock.slept:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert scene.left() == set()
