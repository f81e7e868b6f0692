"""What every plan store keeps of a task's attempts: memory, SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest
from devteam_planner.domain import Attempt, TaskState, Usage, WorkerInstance
from devteam_planner.ports import Ending, PlanStore

from tests.fakes.planner_samples import NOON, a_plan
from tests.stores.attempts import AGAIN, DONE, LATER, LOST, SUCCESS, W1, begun

SPAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_attempt_begins_once(store: PlanStore) -> None:
    task = await begun(store)
    assert (task.attempt, task.attempt_open, task.state, task.version) == (1, True, TaskState.QUEUED, 1)
    assert task == await store.task("p-1.a")
    assert await store.begin_attempt("p-1.a", after=0, reason="again", now=NOON) is None
    assert await store.begin_attempt("p-1.a", after=1, reason="still open", now=NOON) is None
    assert await store.attempt("p-1.a", 1) == Attempt("p-1.a", 1, "first attempt", NOON)
    assert await store.attempt("p-1.a", 2) is None


async def test_an_attempt_keeps_the_span_that_it_was_begun_in(store: PlanStore) -> None:
    await store.add(a_plan())
    await store.begin_attempt("p-1.a", after=0, reason="first attempt", now=NOON, traceparent=SPAN)
    assert await store.attempt("p-1.a", 1) == Attempt("p-1.a", 1, "first attempt", NOON, SPAN)


async def test_a_task_shows_its_plans_name_and_trace_wherever_it_is_read(store: PlanStore) -> None:
    plan = await store.add(replace(a_plan(), trace_context={"traceparent": SPAN}))
    begun = await store.begin_attempt("p-1.a", after=0, reason="first attempt", now=NOON)
    assert begun is not None
    read = [
        begun,
        await store.task("p-1.a"),
        *(await store.plan("p-1")).tasks,
        *await store.tasks(plan_id="p-1", state=None, before="", limit=10),
    ]
    assert {(task.plan_name, task.trace_id) for task in read} == {(plan.name, SPAN[3:35])}
    assert (await store.head("p-1")).trace_context == {"traceparent": SPAN}


async def test_of_many_drivers_one_begins_the_attempt(store: PlanStore) -> None:
    await store.add(a_plan())
    tries = (store.begin_attempt("p-1.a", after=0, reason=f"driver {n}", now=NOON) for n in range(5))
    assert len([task for task in await asyncio.gather(*tries) if task]) == 1
    assert (await store.task("p-1.a")).attempt == 1


async def test_a_run_leaves_its_traces(store: PlanStore) -> None:
    """Waiting, assigned, succeeded: every field of each write."""
    task = await begun(store)
    assert await store.note_waiting("p-1.a", 1, "no worker has a GPU", NOON)
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
    await store.note_waiting("p-1.a", 1, "w1 refused it", NOON)
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
    assert not await store.note_waiting("p-1.a", 1, "late", NOON)
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


async def test_what_an_attempt_took_stays_until_the_next_begins(store: PlanStore) -> None:
    spent = Usage(10, 20, 3, 4, 0.125)
    await begun(store)
    handed_back = Ending(TaskState.QUEUED, burns=False, wait_reason="w1 drains", spent=spent)
    await store.end_attempt("p-1.a", 1, None, handed_back, LATER)
    between = await store.task("p-1.a")
    assert (between.spent, between.usage) == (spent, spent)
    assert (await store.plan("p-1")).tasks[1].usage == spent
    again = await store.begin_attempt("p-1.a", after=1, reason="w1 drains", now=LATER)
    assert again is not None
    assert again.usage == Usage()

    await store.end_attempt("p-1.a", 2, None, Ending(TaskState.CANCELLED, burns=False, spent=spent), LATER)
    assert (await store.task("p-1.a")).usage == spent


async def test_what_an_attempt_took_is_told_by_its_end(store: PlanStore) -> None:
    await begun(store)
    await store.end_attempt("p-1.a", 1, None, AGAIN, LATER)
    assert (await store.task("p-1.a")).usage == LOST.usage
    await store.begin_attempt("p-1.a", after=1, reason="again", now=LATER)
    await store.end_attempt("p-1.a", 2, None, SUCCESS, LATER)
    assert (await store.task("p-1.a")).usage == DONE.usage


async def test_only_a_task_without_open_attempt_is_ended_from_outside(store: PlanStore) -> None:
    await begun(store)
    assert not await store.end_task("p-1.a", TaskState.CANCELLED, None, LATER)
    assert await store.end_task("p-1.b", TaskState.FAILED, LOST, LATER)
    assert not await store.end_task("p-1.b", TaskState.CANCELLED, None, LATER)
    task = await store.task("p-1.b")
    assert (task.state, task.failure, task.ended_at) == (TaskState.FAILED, LOST, LATER)
