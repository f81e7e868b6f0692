"""What watchers are told, and in which order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from devteam_planner.bell import Bell
from devteam_planner.domain import Batch, Completion, Plan, PlanState, TaskState, WorkerInstance
from devteam_planner.events import (
    AttemptStarted,
    Cursor,
    Gap,
    PlanEvent,
    PlanSnapshot,
    TaskChanged,
    TokensRead,
)
from devteam_planner.ports import Ending, Entry
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.token_log import TokenLog
from devteam_planner.watch import Watch

from devteam.mesh.errors import NotFound, OutOfRange
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import NOON, a_batch, a_plan, a_sole_task

ONE, TWO, THREE = a_batch(1, "a", "b"), a_batch(3, "c"), a_batch(4, "d", "e")
DONE = Ending(TaskState.SUCCEEDED, burns=False, output="abcde", completion=Completion("sim", "sim"))
AGAIN = Ending(TaskState.QUEUED, burns=True)

W1 = WorkerInstance("w1", "i1")


class CountingStore(MemoryPlanStore):
    """Counts how often whole plans are read."""

    reads = 0

    async def plan(self, plan_id: str) -> Plan:
        self.reads += 1
        return await super().plan(plan_id)

    def holds(self, task_id: str, attempt: int, worker: WorkerInstance | None) -> bool:
        return True  # who may say what is tested elsewhere


@dataclass
class Setting:
    """A Planner without its drivers: the test plays them."""

    clock: FakeClock
    store: CountingStore = field(default_factory=CountingStore)

    def __post_init__(self) -> None:
        self.tokens = MemoryTokenStore(self.store)
        self.bell = Bell(self.clock)
        self.log = TokenLog(self.tokens, self.bell, lambda *_: None, self.clock)
        self.watching = Watch(self.store, self.log, self.bell, self.clock)

    def task(self, task_id: str = "t-1", cursor: Cursor = Cursor()) -> AsyncGenerator[PlanEvent, None]:  # noqa: B008 - a frozen value
        return self.watching.watch_task(task_id, cursor)

    def plan(self, cursors: Mapping[str, Cursor] | None = None) -> AsyncGenerator[PlanEvent, None]:
        return self.watching.watch_plan("p-1", cursors or {})

    async def begin(self, task_id: str = "t-1", after: int = 0, reason: str = "first attempt") -> None:
        task = await self.store.begin_attempt(task_id, after=after, reason=reason, now=NOON)
        assert task is not None
        self.bell.ring(task.plan_id)

    async def assign(self, task_id: str = "t-1", attempt: int = 1) -> None:
        assert await self.store.note_assigned(task_id, attempt, W1, "q", "turn", NOON)
        self.bell.ring(task_id.split(".", maxsplit=1)[0])

    async def say(self, *batches: Batch, task_id: str = "t-1", attempt: int = 1) -> None:
        for batch in batches:
            await self.log.append(task_id.split(".", maxsplit=1)[0], task_id, attempt, W1, batch)
        await self.log.settle(task_id, attempt)

    async def end(self, ending: Ending, task_id: str = "t-1", attempt: int = 1) -> None:
        assert await self.store.end_attempt(task_id, attempt, W1, ending, NOON)
        self.bell.ring(task_id.split(".", maxsplit=1)[0])


@pytest.fixture
async def setting(clock: FakeClock) -> AsyncIterator[Setting]:
    made = Setting(clock)
    await made.store.add(a_sole_task("t-1"))
    await made.store.add(a_plan("p-1", ["a", "b"]))
    async with background(made.log.run):
        yield made


def told(event: PlanEvent) -> object:
    """An event in short."""
    match event:
        case PlanSnapshot():
            return event.plan.state.name, [task.state.name for task in event.plan.tasks]
        case TaskChanged():
            return event.task.step_id, event.task.state.name, event.task.attempt
        case AttemptStarted():
            return f"{event.task_id}/{event.attempt}", event.reason
        case TokensRead():
            return f"{event.task_id}/{event.attempt}", max(event.after + 1, event.batch.first_seq), event.batch.last_seq
        case Gap():
            return "gap", event.first_seq, event.last_seq


async def some(watch: AsyncGenerator[PlanEvent, None], count: int) -> list[object]:
    """The next events of an open watch."""
    async with asyncio.timeout(60):
        return [told(await anext(watch)) for _ in range(count)]


async def rest(watch: AsyncGenerator[PlanEvent, None]) -> list[object]:
    """All events until the watch ends by itself."""
    async with asyncio.timeout(60), aclosing(watch):
        return [told(event) async for event in watch]


async def test_a_task_is_told_from_its_beginning_to_its_end(setting: Setting) -> None:
    watch = setting.task()
    assert await some(watch, 1) == [("task", "PENDING", 0)]
    await setting.begin()
    assert await some(watch, 2) == [("task", "QUEUED", 1), ("t-1/1", "first attempt")]
    await setting.assign()
    assert await some(watch, 1) == [("task", "RUNNING", 1)]
    await setting.say(ONE)
    assert await some(watch, 1) == [("t-1/1", 1, 2)]
    await setting.say(TWO, THREE)
    await setting.end(DONE)
    assert await rest(watch) == [("t-1/1", 3, 3), ("t-1/1", 4, 5), ("task", "SUCCEEDED", 1)]


async def test_who_comes_late_is_told_all_tokens_before_the_end(setting: Setting) -> None:
    await setting.begin()
    await setting.assign()
    await setting.say(ONE, TWO)
    await setting.end(DONE)
    assert await rest(setting.task()) == [
        ("task", "SUCCEEDED", 1),
        ("t-1/1", "first attempt"),
        ("t-1/1", 1, 2),
        ("t-1/1", 3, 3),
        ("task", "SUCCEEDED", 1),
    ]


async def test_a_new_attempt_is_announced_before_its_first_token(setting: Setting) -> None:
    """With its reason."""
    watch = setting.task()
    await setting.begin()
    await setting.assign()
    await setting.say(ONE)
    assert (await some(watch, 3))[-1] == ("t-1/1", 1, 2)
    await setting.end(AGAIN)
    await setting.begin(after=1, reason="w1 was lost")
    await setting.say(ONE, attempt=2)
    assert await some(watch, 3) == [("task", "QUEUED", 2), ("t-1/2", "w1 was lost"), ("t-1/2", 1, 2)]
    await watch.aclose()


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize(("after", "expected"), [(1, [(2, 2), (3, 3)]), (2, [(3, 3)]), (3, [])])
async def test_a_watch_goes_on_after_its_cursor(
    setting: Setting, after: int, expected: list[tuple[int, int]], *, forgotten: bool
) -> None:
    """Without announcing again the attempt that the watcher is in; from memory and from the store alike."""
    await setting.begin()
    await setting.assign()
    await setting.say(ONE, TWO)
    if forgotten:
        setting.log.forget("t-1", 1)
    await setting.end(DONE)
    events = await rest(setting.task(cursor=Cursor(1, after)))
    end = ("task", "SUCCEEDED", 1)
    assert events == [end, *(("t-1/1", *tokens) for tokens in expected), end]


async def test_a_cursor_of_an_older_attempt_is_ignored(setting: Setting) -> None:
    await setting.begin()
    await setting.end(AGAIN)
    await setting.begin(after=1, reason="again")
    await setting.say(ONE, attempt=2)
    watch = setting.task(cursor=Cursor(1, 2))
    assert await some(watch, 3) == [("task", "QUEUED", 2), ("t-1/2", "again"), ("t-1/2", 1, 2)]
    await watch.aclose()


@pytest.mark.parametrize("cursor", [Cursor(1, 4), Cursor(2, 1)])
async def test_a_cursor_past_the_end_is_refused(setting: Setting, cursor: Cursor) -> None:
    """Before anything is told."""
    await setting.begin()
    await setting.say(ONE, TWO)
    await setting.end(DONE)
    with pytest.raises(OutOfRange) as refused:
        await rest(setting.task(cursor=cursor))
    assert refused.value.reason == "SEQ_OUT_OF_RANGE"


async def test_what_does_not_exist_cannot_be_watched(setting: Setting) -> None:
    with pytest.raises(NotFound):
        await rest(setting.task("t-9"))
    with pytest.raises(NotFound):
        await rest(setting.watching.watch_plan("p-9", {}))


async def test_lost_tokens_are_a_gap(setting: Setting) -> None:
    await setting.begin()
    await setting.say(ONE, THREE)
    await setting.end(DONE)
    assert (await rest(setting.task()))[2:] == [
        ("t-1/1", 1, 2),
        ("gap", 3, 3),
        ("t-1/1", 4, 5),
        ("task", "SUCCEEDED", 1),
    ]


async def test_tokens_that_come_twice_are_told_once(setting: Setting) -> None:
    """Whoever takes over an attempt may cut its tokens otherwise."""
    await setting.begin()
    await setting.say(ONE, a_batch(1, "a", "b", "c", "d"), a_batch(4, "d", "e"))
    await setting.end(DONE)
    assert (await rest(setting.task()))[2:-1] == [("t-1/1", 1, 2), ("t-1/1", 3, 4), ("t-1/1", 5, 5)]


async def test_what_another_process_writes_is_found_without_the_bell(setting: Setting, clock: FakeClock) -> None:
    """Changes and tokens, half a second later at most, even while the bell rings for something else."""
    watch = setting.task()
    await some(watch, 1)
    await setting.store.begin_attempt("t-1", after=0, reason="first attempt", now=NOON)
    await setting.store.note_assigned("t-1", 1, WorkerInstance("w9", "i9"), "q", "turn", NOON)
    waiting = asyncio.create_task(some(watch, 2))
    await asyncio.sleep(0)
    clock.advance(0.5)
    assert await waiting == [("task", "RUNNING", 1), ("t-1/1", "first attempt")]

    await setting.tokens.append([Entry("t-1", 1, WorkerInstance("w9", "i9"), ONE)])
    waiting = asyncio.create_task(some(watch, 1))
    for _ in range(5):
        clock.advance(0.1)
        setting.bell.ring("t-1", "t-other")
        for _ in range(5):
            await asyncio.sleep(0)
    assert await waiting == [("t-1/1", 1, 2)]
    await watch.aclose()


async def test_a_slow_watcher_misses_no_token(setting: Setting) -> None:
    """It reads when it gets round to it; states in between may be left out."""
    watch = setting.task()
    await some(watch, 1)
    await setting.begin()
    await setting.assign()
    batches = [a_batch(seq, str(seq)) for seq in range(1, 200)]
    await setting.say(*batches)
    setting.log.forget("t-1", 1)
    await setting.end(DONE)
    events = await rest(watch)
    assert events == [
        ("t-1/1", "first attempt"),
        *(("t-1/1", seq, seq) for seq in range(1, 200)),
        ("task", "SUCCEEDED", 1),
    ]


async def test_a_plan_is_told_from_its_beginning_to_its_end(setting: Setting) -> None:
    watch = setting.plan()
    assert await some(watch, 1) == [("PENDING", ["PENDING", "PENDING"])]
    await setting.store.start_plan("p-1")
    setting.bell.ring("p-1")
    assert await some(watch, 1) == [("RUNNING", ["PENDING", "PENDING"])]
    for step in "ab":
        await setting.begin(f"p-1.{step}")
        assert await some(watch, 2) == [(step, "QUEUED", 1), (f"p-1.{step}/1", "first attempt")]
        await setting.say(ONE, task_id=f"p-1.{step}")
        assert await some(watch, 1) == [(f"p-1.{step}/1", 1, 2)]
    for step in "ab":
        await setting.say(TWO, task_id=f"p-1.{step}")
        await setting.end(DONE, f"p-1.{step}")
    assert await setting.store.close_plan("p-1", NOON) is PlanState.SUCCEEDED
    setting.bell.ring("p-1")
    events = await rest(watch)
    assert events[-1] == ("SUCCEEDED", ["SUCCEEDED", "SUCCEEDED"])
    for step in "ab":
        mine = [event for event in events if isinstance(event, tuple) and event[0] in {step, f"p-1.{step}/1"}]
        assert mine == [(f"p-1.{step}/1", 3, 3), (step, "SUCCEEDED", 1)]


async def test_the_steps_of_a_plan_are_told_in_turns(setting: Setting) -> None:
    """What one step has to tell does not keep another waiting for all of it."""
    for step in "ab":
        await setting.begin(f"p-1.{step}")
        await setting.say(*(a_batch(seq, "x") for seq in range(1, 101)), task_id=f"p-1.{step}")
    watch = setting.plan()
    await some(watch, 1)
    events = await some(watch, 202)
    first_of_b, last_of_a = events.index(("p-1.b/1", 1, 1)), events.index(("p-1.a/1", 100, 100))
    assert first_of_b < last_of_a
    await watch.aclose()


async def test_a_plan_is_resumed_task_by_task(setting: Setting) -> None:
    for step in "ab":
        await setting.begin(f"p-1.{step}")
        await setting.say(ONE, TWO, task_id=f"p-1.{step}")
    watch = setting.plan({"p-1.a": Cursor(1, 1), "p-1.gone": Cursor(1, 9)})
    events = (await some(watch, 6))[1:]
    assert [event for event in events if "p-1.a/1" in str(event)] == [("p-1.a/1", 2, 2), ("p-1.a/1", 3, 3)]
    assert [event for event in events if "p-1.b/1" in str(event)] == [
        ("p-1.b/1", "first attempt"),
        ("p-1.b/1", 1, 2),
        ("p-1.b/1", 3, 3),
    ]
    await watch.aclose()


async def test_a_stream_of_tokens_hides_nothing_else(setting: Setting) -> None:
    """Though there is always one more token to tell."""
    await setting.begin("p-1.a")
    watch = setting.plan()
    await some(watch, 2)
    await setting.say(a_batch(1, "x"), task_id="p-1.a")
    await setting.begin("p-1.b")
    told_of_b = []
    for seq in range(2, 12):
        await setting.say(a_batch(seq, "x"), task_id="p-1.a")
        told_of_b += [event for event in await some(watch, 1) if "p-1.a" not in str(event)]
    assert told_of_b == [("b", "QUEUED", 1), ("p-1.b/1", "first attempt")]
    await watch.aclose()


async def test_a_plan_that_has_ended_is_told_with_all_its_tokens(setting: Setting) -> None:
    await setting.begin("p-1.a")
    await setting.say(ONE, task_id="p-1.a")
    await setting.end(Ending(TaskState.FAILED, burns=True), "p-1.a")
    await setting.store.close_plan("p-1", NOON)
    end = ("FAILED", ["FAILED", "SKIPPED"])
    assert await rest(setting.plan()) == [end, ("p-1.a/1", "first attempt"), ("p-1.a/1", 1, 2), end]


async def test_a_plan_is_not_read_again_for_what_happens_to_a_step(setting: Setting, clock: FakeClock) -> None:
    """Be it tokens, silence, or the step's end."""
    await setting.begin("p-1.a")
    await setting.assign("p-1.a")
    watch = setting.plan()
    await some(watch, 2)
    before = setting.store.reads
    for seq in range(1, 11):
        await setting.say(a_batch(seq, "x"), task_id="p-1.a")
        assert await some(watch, 1) == [("p-1.a/1", seq, seq)]
    waiting = asyncio.create_task(some(watch, 1))
    for _ in range(10):
        clock.advance(0.5)
        for _ in range(5):
            await asyncio.sleep(0)
    assert setting.store.reads == before
    await setting.end(DONE, "p-1.a")
    assert await waiting == [("a", "SUCCEEDED", 1)]
    assert setting.store.reads == before
    await watch.aclose()


async def test_much_that_changed_at_once_is_read_at_once(setting: Setting) -> None:
    steps = [f"s{number}" for number in range(100)]
    await setting.store.add(a_plan("p-2", steps))
    watch = setting.watching.watch_plan("p-2", {})
    await some(watch, 1)
    before = setting.store.reads
    for step in steps:
        await setting.begin(f"p-2.{step}")
    events = await some(watch, 200)
    assert {event for event in events if "QUEUED" in str(event)} == {(step, "QUEUED", 1) for step in steps}
    assert setting.store.reads == before + 1
    await watch.aclose()


async def test_a_watch_that_is_left_listens_no_longer(setting: Setting) -> None:
    watch = setting.plan()
    await some(watch, 1)
    await watch.aclose()
    assert not setting.bell._listeners
