"""What all who look on are told, read once for everybody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from devteam_planner.audience import Line, News
from devteam_planner.bell import Bell
from devteam_planner.domain import Task, TaskState
from devteam_planner.feed import Feed
from devteam_planner.onlookers import Onlookers
from devteam_planner.overview import Count, Write
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_overview import MemoryOverview
from structlog.testing import capture_logs

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import NOON, a_plan, a_task

SECOND = timedelta(seconds=1)


class CountedOverview(MemoryOverview):
    """Counts what is asked of it, and can be away."""

    def __init__(self, plans: MemoryPlanStore) -> None:
        super().__init__(plans, MemoryTokenStore(plans))
        self.asked = 0
        self.away = False

    async def writes(self, since: datetime, after: str, limit: int) -> list[Write]:
        self.asked += 1
        if self.away:
            raise Unavailable("the store is away")
        return await super().writes(since, after, limit)

    async def tasks(self, task_ids: Sequence[str]) -> list[Task]:
        self.asked += 1
        return await super().tasks(task_ids)

    async def counts(self) -> list[Count]:
        self.asked += 1
        return await super().counts()


class Scene:
    """A store, a feed, and time that a test moves."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.plans = MemoryPlanStore()
        self.overview = CountedOverview(self.plans)
        self.bell = Bell(clock)
        self.feed = Feed(self.overview, self.bell, clock)
        self.onlookers = Onlookers(self.feed, clock)

    async def skip(self, task_id: str) -> None:
        """End a task, and ring."""
        assert await self.plans.end_task(task_id, TaskState.SKIPPED, None, self.clock.now())
        self.bell.ring("p-1")

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            await settled()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background(self.feed.run):
            yield


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def states(news: News) -> list[tuple[str, str]]:
    return [(task.task_id, task.state.value) for task in news.tasks]


async def test_nothing_is_read_while_nobody_looks_on(clock: FakeClock) -> None:
    """Before the first came, and after the last has left, however much happens."""
    scene = Scene(clock)
    await scene.plans.add(a_plan(steps=("a", "b")))
    async with scene.running():
        await scene.skip("p-1.a")
        await scene.pass_time(10)
        assert scene.overview.asked == 0
        with scene.feed.line(counts=True):
            await scene.pass_time(3)
            assert scene.overview.asked > 0
        await scene.pass_time(1)
        before = scene.overview.asked
        await scene.skip("p-1.b")
        await scene.pass_time(10)
        assert scene.overview.asked == before


async def test_one_read_serves_everybody(clock: FakeClock) -> None:
    """A hundred cost no more than one."""
    asked = []
    for number in (1, 100):
        scene = Scene(clock)
        await scene.plans.add(a_plan(steps=("a",)))
        async with scene.running():
            lines = [scene.feed.line(counts=True) for _ in range(number)]
            opened = [line.__enter__() for line in lines]
            await scene.pass_time(0.5)
            await scene.skip("p-1.a")
            await scene.pass_time(3)
            assert [states(line.take()) for line in opened] == [[("p-1.a", "skipped")]] * number
            asked.append(scene.overview.asked)
            for line in lines:
                line.__exit__(None, None, None)
    assert asked[0] == asked[1]


async def test_changes_that_follow_each_other_come_as_one(clock: FakeClock) -> None:
    scene = Scene(clock)
    await scene.plans.add(a_plan(steps=("a",)))
    async with scene.running():
        with scene.feed.line(counts=False) as line:
            await scene.pass_time(1)
            line.take()
            for reason in ("one", "two", "three"):
                task = await scene.plans.task("p-1.a")
                if not task.attempt_open:
                    await scene.plans.begin_attempt("p-1.a", after=0, reason="", now=clock.now())
                await scene.plans.note_waiting("p-1.a", 1, reason, clock.now())
                scene.bell.ring("p-1")
            await scene.pass_time(0.5)
            news = line.take()
            assert [(seen.wait_reason, seen.version) for seen in news.tasks] == [("three", 4)]
            await scene.pass_time(2)
            assert line.take() == News()


async def test_a_store_that_stays_away_is_logged_once(clock: FakeClock) -> None:
    """And once more when it goes away again."""
    scene = Scene(clock)
    with capture_logs() as logs:
        async with scene.running():
            with scene.feed.line(counts=False):
                for away in (True, False, True):
                    scene.overview.away = away
                    await scene.pass_time(5)
    assert [line["event"] for line in logs] == ["those who look on are told later"] * 2


async def test_a_store_that_was_away_is_read_from_where_it_was_left(clock: FakeClock) -> None:
    scene = Scene(clock)
    await scene.plans.add(a_plan(steps=("a",)))
    async with scene.running():
        with scene.feed.line(counts=False) as line:
            await scene.pass_time(1)
            line.take()
            scene.overview.away = True
            await scene.skip("p-1.a")
            await scene.pass_time(60)
            scene.overview.away = False
            await scene.pass_time(1)
            assert states(line.take()) == [("p-1.a", "skipped")]


async def test_a_wall_clock_that_is_set_back_hides_nothing(clock: FakeClock) -> None:
    scene = Scene(clock)
    await scene.plans.add(a_plan(steps=("a",)))
    async with scene.running():
        with scene.feed.line(counts=False) as line:
            line.settle(scene.feed.number)
            await scene.pass_time(1)
            line.take()
            clock.set_wall(NOON - 3600 * SECOND)
            await scene.pass_time(1)
            await scene.skip("p-1.a")
            await scene.pass_time(1)
            assert states(line.take()) == [("p-1.a", "skipped")]


async def test_what_ended_before_anybody_came_is_no_news(clock: FakeClock) -> None:
    """Though the first read finds it; what ends while the beginning is told is."""
    scene = Scene(clock)
    await scene.plans.add(a_plan(steps=("a", "b", "c")))
    await scene.skip("p-1.a")
    await scene.pass_time(1)
    async with scene.running(), aclosing(scene.onlookers.watch(None, counts=False)) as watch:
        first = await anext(watch)
        assert (states(first), first.current) == ([("p-1.b", "pending"), ("p-1.c", "pending")], False)
        await scene.skip("p-1.b")
        assert await anext(watch) == News()
        news = asyncio.ensure_future(anext(watch))
        await scene.pass_time(1)
        assert states(await news) == [("p-1.b", "skipped")]
        later = asyncio.ensure_future(anext(watch))
        await scene.skip("p-1.c")
        await scene.pass_time(10)
        assert states(await later) == [("p-1.c", "skipped")]


def seen(step_id: str, version: int) -> Task:
    return replace(a_task("p-1", step_id), version=version)


def versions(news: News) -> list[tuple[str, int]]:
    return [(task.step_id, task.version) for task in news.tasks]


def test_of_each_task_only_the_latest_waits() -> None:
    """In the order of the changes."""
    line = Line(10, NOON, counts=False)
    line.offer([seen("a", 1), seen("b", 1)], NOON, 1)
    line.offer([seen("a", 2)], NOON, 2)
    assert versions(line.take()) == [("b", 1), ("a", 2)]
    assert line.take() == News()


def test_nothing_older_comes_after_what_the_store_told() -> None:
    """Until no read that began before can bring any."""
    line = Line(10, NOON, counts=False)
    line.offer([seen("a", 1), seen("b", 3)], NOON, 1)
    line.note([seen("a", 2), seen("b", 2)])
    assert versions(line.take()) == [("b", 3)]
    line.settle(1)
    line.offer([seen("a", 1), seen("a", 2)], NOON, 2)
    assert versions(line.take()) == []
    line.offer([seen("a", 3)], NOON, 3)
    assert versions(line.take()) == [("a", 3)]


def test_a_line_that_is_full_keeps_nothing_but_the_moment() -> None:
    """From which its watcher has to read; then it keeps everything again."""
    line = Line(2, NOON, counts=False)
    line.offer([seen("a", 1)], NOON + SECOND, 1)
    line.offer([seen("b", 1)], NOON, 2)
    assert line.catch_up() is None
    line.offer([seen("c", 1), seen("d", 1)], NOON + 5 * SECOND, 3)
    line.offer([seen("e", 1)], NOON + 6 * SECOND, 4)
    assert line.take() == News()
    assert line.catch_up() == NOON
    assert line.catch_up() is None
    line.offer([seen("f", 1)], NOON + 7 * SECOND, 5)
    assert versions(line.take()) == [("f", 1)]


def test_counts_are_told_when_they_change() -> None:
    """The latest of what still runs."""
    line = Line(10, NOON, counts=True)
    line.offer_counts([Count("a", 1, 5), Count("b", 1, 0)])
    assert line.take().counts == (Count("a", 1, 5), Count("b", 1, 0))
    line.offer_counts([Count("a", 1, 5), Count("b", 1, 1)])
    line.offer_counts([Count("a", 1, 5), Count("b", 1, 2), Count("c", 1, 1)])
    line.offer_counts([Count("a", 2, 0), Count("b", 1, 2)])
    assert line.take().counts == (Count("b", 1, 2), Count("a", 2, 0))
