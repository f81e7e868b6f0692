"""What every plan store does: one suite for memory, SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_planner.domain import (
    Attempt,
    Cancelled,
    CancelTrail,
    Completion,
    Failure,
    FailureReason,
    Plan,
    PlanState,
    Task,
    TaskState,
    Usage,
    WorkerInstance,
)
from devteam_planner.ports import Ending, PlanStore
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.store.sql_plans import SqlPlanStore

from devteam.mesh.errors import NotFound
from tests.fakes.planner_samples import FULL, NOON, a_plan, a_sole_task, a_task
from tests.stores.planner_databases import BACKENDS, opened

LATER = NOON + timedelta(seconds=5)
W1 = WorkerInstance("w1", "i1")
LOST = Failure(FailureReason.WORKER_LOST, "w1 vanished", retryable=True, retry_after=1.5)
DONE = Completion("sim", "sim-1", "end_turn", Usage(10, 20, 3, 4), 0.25)
SUCCESS = Ending(TaskState.SUCCEEDED, burns=False, output="grüner Tee", completion=DONE)
AGAIN = Ending(TaskState.QUEUED, burns=True, failure=LOST)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PlanStore]:
    if request.param == "memory":
        yield MemoryPlanStore()
        return
    async with opened(request.getfixturevalue(request.param)) as database:
        yield SqlPlanStore(database)


async def begun(store: PlanStore, task_id: str = "p-1.a") -> Task:
    """A task of a stored plan with its first attempt open."""
    await store.add(a_plan())
    task = await store.begin_attempt(task_id, after=0, reason="first attempt", now=NOON)
    assert task is not None
    return task


async def end(store: PlanStore, task_id: str, state: TaskState) -> None:
    await store.begin_attempt(task_id, after=0, reason="first attempt", now=NOON)
    assert await store.end_attempt(task_id, 1, None, Ending(state, burns=False, output="out"), LATER)


async def test_a_plan_comes_back_as_it_was_added(store: PlanStore) -> None:
    """Every field, nested ones included, steps in their order."""
    steps = (a_task("p-1", "z", spec=FULL), a_task("p-1", "a", position=1, depends_on=["z"]))
    plan = replace(a_plan(request_id="r-1"), tasks=steps)
    assert await store.add(plan) == plan
    assert await store.plan("p-1") == plan
    assert await store.head("p-1") == replace(plan, tasks=())


async def test_what_is_not_there_is_not_found(store: PlanStore) -> None:
    for missing in (store.plan("p-9"), store.head("p-9"), store.versions("p-9"), store.task("p-9.a")):
        with pytest.raises(NotFound):
            await missing
    for kind in (store.request_cancel("p-9", LATER), store.close_plan("p-9", LATER)):
        with pytest.raises(NotFound) as refused:
            await kind
        assert (refused.value.kind, refused.value.name) == ("plan", "p-9")


async def test_a_repeated_request_id_returns_the_first_plan(store: PlanStore) -> None:
    first = await store.add(a_plan("p-1", request_id="r-1", digest="one"))
    again = await store.add(a_plan("p-2", request_id="r-1", digest="two"))
    assert again == first
    with pytest.raises(NotFound):
        await store.plan("p-2")


async def test_plans_without_request_id_are_all_kept(store: PlanStore) -> None:
    await store.add(a_plan("p-1"))
    await store.add(a_plan("p-2"))
    assert [plan.plan_id for plan in await store.plans(state=None, before="", limit=10)] == ["p-2", "p-1"]


async def test_five_at_once_with_one_request_id_are_one_plan(store: PlanStore) -> None:
    added = await asyncio.gather(*(store.add(a_plan(f"p-{n}", request_id="r-1")) for n in range(5)))
    kept = await store.plans(state=None, before="", limit=10)
    assert [plan.plan_id for plan in kept] == [added[0].plan_id]
    assert {plan.plan_id for plan in added} == {added[0].plan_id}
    assert all(len(plan.tasks) == 2 for plan in added)


async def test_plans_are_listed_newest_first_without_tasks(store: PlanStore) -> None:
    """By state, in pages, and without tasks of their own."""
    for plan_id in ("p-1", "p-2", "p-3"):
        await store.add(a_plan(plan_id))
    await store.add(a_sole_task("t-1"))
    await store.start_plan("p-2")
    assert [plan.plan_id for plan in await store.plans(state=None, before="", limit=2)] == ["p-3", "p-2"]
    assert await store.plans(state=None, before="p-2", limit=2) == [replace(a_plan("p-1"), tasks=())]
    running = await store.plans(state=PlanState.RUNNING, before="", limit=2)
    assert [plan.plan_id for plan in running] == ["p-2"]


async def test_ids_sort_by_their_bytes(store: PlanStore) -> None:
    """Whatever the database's locale thinks of capitals and hyphens."""
    for plan_id in ("p-b", "p-B", "p-a", "p_a"):
        await store.add(a_plan(plan_id))
    assert [plan.plan_id for plan in await store.plans(state=None, before="", limit=9)] == ["p_a", "p-b", "p-a", "p-B"]
    assert [plan.plan_id for plan in await store.plans(state=None, before="p-b", limit=9)] == ["p-a", "p-B"]


async def test_tasks_are_listed_by_plan_or_on_their_own(store: PlanStore) -> None:
    await store.add(a_plan("p-1", ["a", "b", "c"]))
    await store.add(a_sole_task("t-1"))
    await store.add(a_sole_task("t-2"))
    await end(store, "p-1.b", TaskState.SUCCEEDED)

    async def listed(plan_id: str, state: TaskState | None = None, before: str = "") -> list[str]:
        return [t.task_id for t in await store.tasks(plan_id=plan_id, state=state, before=before, limit=2)]

    assert await listed("p-1") == ["p-1.c", "p-1.b"]
    assert await listed("p-1", before="p-1.b") == ["p-1.a"]
    assert await listed("p-1", TaskState.SUCCEEDED) == ["p-1.b"]
    assert await listed("") == ["t-2", "t-1"]
    assert await listed("", before="t-2") == ["t-1"]
    assert [task.output for task in await store.tasks(plan_id="p-1", state=None, before="", limit=9)] == ["", "", ""]


async def test_an_attempt_begins_once(store: PlanStore) -> None:
    task = await begun(store)
    assert (task.attempt, task.attempt_open, task.state, task.version) == (1, True, TaskState.QUEUED, 1)
    assert task == await store.task("p-1.a")
    assert await store.begin_attempt("p-1.a", after=0, reason="again", now=NOON) is None
    assert await store.begin_attempt("p-1.a", after=1, reason="still open", now=NOON) is None
    assert await store.attempt("p-1.a", 1) == Attempt("p-1.a", 1, "first attempt", NOON)
    assert await store.attempt("p-1.a", 2) is None


async def test_of_many_drivers_one_begins_the_attempt(store: PlanStore) -> None:
    await store.add(a_plan())
    tries = (store.begin_attempt("p-1.a", after=0, reason=f"driver {n}", now=NOON) for n in range(5))
    assert len([task for task in await asyncio.gather(*tries) if task]) == 1
    assert (await store.task("p-1.a")).attempt == 1


async def test_a_run_leaves_its_traces(store: PlanStore) -> None:
    """Waiting, assigned, succeeded: every field of each write."""
    task = await begun(store)
    assert await store.note_waiting("p-1.a", 1, "no worker has a GPU")
    waiting = replace(task, wait_reason="no worker has a GPU", version=2)
    assert await store.task("p-1.a") == waiting

    assert await store.note_assigned("p-1.a", 1, W1, "gpu-queue", "least loaded", LATER)
    running = replace(
        task,
        state=TaskState.RUNNING,
        worker=W1,
        queue="gpu-queue",
        placement_reason="least loaded",
        started_at=LATER,
        version=3,
    )
    assert await store.task("p-1.a") == running

    assert await store.end_attempt("p-1.a", 1, W1, SUCCESS, LATER)
    ended = replace(
        running,
        state=TaskState.SUCCEEDED,
        attempt_open=False,
        output="grüner Tee",
        output_bytes=11,
        completion=DONE,
        ended_at=LATER,
        version=4,
    )
    assert await store.task("p-1.a") == ended
    assert (await store.plan("p-1")).tasks[1] == replace(ended, output="")


async def test_the_start_of_a_task_is_the_start_of_its_first_attempt(store: PlanStore) -> None:
    await begun(store)
    await store.note_assigned("p-1.a", 1, W1, "q", "", NOON)
    await store.note_assigned("p-1.a", 1, W1, "q", "", LATER)
    assert (await store.task("p-1.a")).started_at == NOON


async def test_a_run_that_is_refused_waits_without_a_worker(store: PlanStore) -> None:
    await begun(store)
    await store.note_assigned("p-1.a", 1, W1, "q", "turn", LATER)
    await store.note_waiting("p-1.a", 1, "w1 refused it")
    task = await store.task("p-1.a")
    assert (task.state, task.worker, task.queue, task.placement_reason) == (TaskState.QUEUED, None, "", "")


async def test_a_failed_attempt_makes_room_for_the_next(store: PlanStore) -> None:
    """It burns, its failure stays until the next attempt begins, and then nothing of it is left."""
    await begun(store)
    await store.note_assigned("p-1.a", 1, W1, "q", "turn", LATER)
    assert await store.end_attempt("p-1.a", 1, W1, AGAIN, LATER)
    between = await store.task("p-1.a")
    assert (between.state, between.attempt_open, between.burnt) == (TaskState.QUEUED, False, 1)
    assert (between.failure, between.ended_at) == (LOST, None)

    second = await store.begin_attempt("p-1.a", after=1, reason="w1 was lost", now=NOON)
    assert second is not None
    assert (second.attempt, second.burnt, second.failure, second.worker) == (2, 1, None, None)
    assert await store.attempt("p-1.a", 2) == Attempt("p-1.a", 2, "w1 was lost", NOON)


async def test_late_words_of_an_older_attempt_change_nothing(store: PlanStore) -> None:
    await begun(store)
    await store.end_attempt("p-1.a", 1, None, AGAIN, LATER)
    await store.begin_attempt("p-1.a", after=1, reason="again", now=NOON)
    before = await store.task("p-1.a")
    assert not await store.note_waiting("p-1.a", 1, "late")
    assert not await store.note_assigned("p-1.a", 1, W1, "q", "late", LATER)
    assert not await store.end_attempt("p-1.a", 1, None, SUCCESS, LATER)
    assert await store.task("p-1.a") == before


async def test_an_attempt_ends_once(store: PlanStore) -> None:
    await begun(store)
    endings = (store.end_attempt("p-1.a", 1, None, SUCCESS, LATER) for _ in range(5))
    assert sorted(await asyncio.gather(*endings)) == [False, False, False, False, True]
    assert not await store.note_assigned("p-1.a", 1, W1, "q", "late", LATER)
    assert await store.begin_attempt("p-1.a", after=1, reason="more", now=NOON) is None


@pytest.mark.parametrize("worker", [None, WorkerInstance("w2", "i2"), WorkerInstance("w1", "i9")])
async def test_only_the_worker_that_has_the_attempt_ends_it(store: PlanStore, worker: WorkerInstance | None) -> None:
    await begun(store)
    await store.note_assigned("p-1.a", 1, W1, "q", "turn", LATER)
    before = await store.task("p-1.a")
    assert not await store.end_attempt("p-1.a", 1, worker, SUCCESS, LATER)
    assert await store.task("p-1.a") == before
    assert await store.end_attempt("p-1.a", 1, W1, SUCCESS, LATER)


async def test_an_attempt_that_nobody_has_is_ended_by_nobodys_word(store: PlanStore) -> None:
    await begun(store)
    assert not await store.end_attempt("p-1.a", 1, W1, SUCCESS, LATER)
    assert await store.end_attempt("p-1.a", 1, None, AGAIN, LATER)


async def test_a_hand_back_leaves_its_reason_until_the_next_attempt_begins(store: PlanStore) -> None:
    await begun(store)
    await store.end_attempt("p-1.a", 1, None, Ending(TaskState.QUEUED, burns=False, wait_reason="w1 drains"), LATER)
    assert (await store.task("p-1.a")).wait_reason == "w1 drains"
    again = await store.begin_attempt("p-1.a", after=1, reason="w1 drains", now=LATER)
    assert again is not None
    assert again.wait_reason == ""


async def test_a_cancel_leaves_its_trail_with_every_task_that_has_not_ended(store: PlanStore) -> None:
    await begun(store)
    await end(store, "p-1.b", TaskState.SUCCEEDED)
    await store.note_assigned("p-1.a", 1, W1, "q", "turn", NOON)
    asked = await store.request_cancel("p-1", NOON)
    assert [task.cancel_trail for task in asked.tasks] == [None, CancelTrail(NOON)]
    await store.request_cancel("p-1", LATER)
    told, heard, over = (NOON + timedelta(milliseconds=milliseconds) for milliseconds in (4, 6, 21))
    assert await store.note_router_told("p-1.a", 1, told)
    assert not await store.note_router_told("p-1.a", 1, LATER)
    assert await store.note_worker_told("p-1.a", 1, heard)
    stopped = Ending(TaskState.CANCELLED, burns=False, stopped=Cancelled(took=0.0125))
    assert await store.end_attempt("p-1.a", 1, W1, stopped, over)
    trail = (await store.task("p-1.a")).cancel_trail
    assert trail == CancelTrail(NOON, told, heard, over, 0.0125)
    assert (await store.plan("p-1")).tasks[1].cancel_trail == trail


async def test_what_was_cancelled_does_not_succeed_any_more(store: PlanStore) -> None:
    await begun(store)
    await store.request_cancel("p-1", NOON)
    assert not await store.end_attempt("p-1.a", 1, None, SUCCESS, LATER)
    assert await store.end_attempt("p-1.a", 1, None, Ending(TaskState.CANCELLED, burns=False), LATER)


async def test_news_of_a_cancel_counts_after_the_end_but_not_for_another_attempt(store: PlanStore) -> None:
    await begun(store)
    assert not await store.note_router_told("p-1.a", 1, NOON)  # nobody asked
    await store.request_cancel("p-1", NOON)
    await store.end_attempt("p-1.a", 1, None, Ending(TaskState.CANCELLED, burns=False), NOON)
    assert not await store.note_worker_told("p-1.a", 2, LATER)
    assert not await store.note_worker_told("p-9.a", 1, LATER)
    assert await store.note_worker_told("p-1.a", 1, LATER)
    assert (await store.task("p-1.a")).cancel_trail == CancelTrail(NOON, LATER, LATER)


async def test_only_a_task_without_open_attempt_is_ended_from_outside(store: PlanStore) -> None:
    await begun(store)
    assert not await store.end_task("p-1.a", TaskState.CANCELLED, None, LATER)
    assert await store.end_task("p-1.b", TaskState.FAILED, LOST, LATER)
    assert not await store.end_task("p-1.b", TaskState.CANCELLED, None, LATER)
    task = await store.task("p-1.b")
    assert (task.state, task.failure, task.ended_at) == (TaskState.FAILED, LOST, LATER)


async def test_outputs_are_those_of_steps_that_succeeded(store: PlanStore) -> None:
    await store.add(a_plan("p-1", ["a", "b", "c"]))
    await end(store, "p-1.a", TaskState.SUCCEEDED)
    await end(store, "p-1.b", TaskState.FAILED)
    assert await store.outputs("p-1", ["a", "b", "x"]) == {"a": "out"}
    assert await store.outputs("p-1", []) == {}
    assert await store.outputs("p-9", ["a"]) == {}


async def test_a_plan_that_was_started_is_no_longer_unstarted(store: PlanStore) -> None:
    await store.add(replace(a_plan("p-1"), created_at=LATER))
    await store.add(a_sole_task("t-1"))
    await store.add(a_plan("p-2"))
    assert [plan.plan_id for plan in await store.unstarted(2)] == ["p-2", "t-1"]
    await store.start_plan("p-2")
    await store.start_plan("p-2")
    assert [plan.plan_id for plan in await store.unstarted(9)] == ["t-1", "p-1"]
    plan = await store.plan("p-2")
    assert (plan.state, plan.version) == (PlanState.RUNNING, 1)


async def test_a_cancel_is_noted_once(store: PlanStore) -> None:
    await store.add(a_plan())
    asked = await store.request_cancel("p-1", NOON)
    assert asked == await store.request_cancel("p-1", LATER) == await store.plan("p-1")
    assert asked.cancel_requested_at == NOON
    assert len(asked.tasks) == 2


@pytest.mark.parametrize(
    ("ends", "cancel", "state", "rest"),
    [
        ([TaskState.SUCCEEDED, TaskState.SUCCEEDED], False, PlanState.SUCCEEDED, TaskState.SUCCEEDED),
        ([TaskState.SUCCEEDED, TaskState.SUCCEEDED], True, PlanState.SUCCEEDED, TaskState.SUCCEEDED),
        ([TaskState.FAILED], False, PlanState.FAILED, TaskState.SKIPPED),
        ([TaskState.SUCCEEDED], True, PlanState.CANCELLED, TaskState.CANCELLED),
        ([], True, PlanState.CANCELLED, TaskState.CANCELLED),
    ],
)
async def test_the_end_of_a_plan_follows_from_its_tasks(
    store: PlanStore, ends: list[TaskState], *, cancel: bool, state: PlanState, rest: TaskState
) -> None:
    await store.add(a_plan("p-1", ["a", "b"]))
    for step, ending in zip("ab", ends, strict=False):
        await end(store, f"p-1.{step}", ending)
    if cancel:
        await store.request_cancel("p-1", NOON)
    assert await store.close_plan("p-1", LATER) is state
    plan = await store.plan("p-1")
    assert (plan.state, plan.ended_at, plan.tasks[1].state) == (state, LATER, rest)
    assert plan.tasks[1].ended_at == LATER
    assert await store.close_plan("p-1", LATER + timedelta(1)) is state
    assert await store.plan("p-1") == plan
    assert await store.head("p-1") == replace(plan, tasks=())


async def test_a_plan_that_has_ended_is_not_cancelled(store: PlanStore) -> None:
    await store.add(a_plan())
    await store.close_plan("p-1", LATER)
    assert (await store.request_cancel("p-1", LATER)).cancel_requested_at is None


async def test_closing_a_plan_shuts_its_open_attempts(store: PlanStore) -> None:
    await begun(store)
    await store.close_plan("p-1", LATER)
    assert not await store.end_attempt("p-1.a", 1, None, SUCCESS, LATER)


async def test_every_write_raises_a_version(store: PlanStore) -> None:
    """That of the plan or of the task, so that watchers see what changed."""
    await store.add(a_plan())
    assert await store.versions("p-1") == (0, {"p-1.a": 0, "p-1.b": 0})
    writes: list[tuple[Callable[[], Awaitable[object]], int, int, int]] = [
        (lambda: store.start_plan("p-1"), 1, 0, 0),
        (lambda: store.begin_attempt("p-1.a", after=0, reason="", now=NOON), 1, 1, 0),
        (lambda: store.note_waiting("p-1.a", 1, "why"), 1, 2, 0),
        (lambda: store.note_assigned("p-1.a", 1, W1, "q", "", LATER), 1, 3, 0),
        (lambda: store.end_attempt("p-1.a", 1, W1, SUCCESS, LATER), 1, 4, 0),
        (lambda: store.request_cancel("p-1", LATER), 2, 4, 1),
        (lambda: store.begin_attempt("p-1.b", after=0, reason="", now=NOON), 2, 4, 2),
        (lambda: store.note_worker_told("p-1.b", 1, LATER), 2, 4, 3),
        (lambda: store.note_worker_told("p-1.b", 1, LATER), 2, 4, 3),
        (lambda: store.note_router_told("p-1.b", 1, LATER), 2, 4, 3),
        (lambda: store.close_plan("p-1", LATER), 3, 4, 4),
    ]
    for write, plan, a, b in writes:
        await write()
        assert await store.versions("p-1") == (plan, {"p-1.a": a, "p-1.b": b})


async def test_plans_do_not_touch_each_other(store: PlanStore) -> None:
    """Names that begin alike, and a step that is called like a task of its own."""
    other: Plan = a_plan("p-11", ["task", "a"])
    await store.add(a_plan("p-1", ["a"]))
    await store.add(other)
    await end(store, "p-1.a", TaskState.SUCCEEDED)
    await store.close_plan("p-1", LATER)
    assert await store.plan("p-11") == other
    assert await store.versions("p-11") == (0, {"p-11": 0, "p-11.a": 0})
