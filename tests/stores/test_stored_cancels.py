"""What every plan store keeps of a cancel: memory, SQLite and PostgreSQL."""

from datetime import timedelta

from devteam_planner.domain import Cancelled, CancelTrail, TaskState
from devteam_planner.ports import Ending, PlanStore

from tests.fakes.planner_samples import NOON, a_plan
from tests.stores.attempts import LATER, SUCCESS, W1, begun, end


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


async def test_a_cancel_is_noted_once(store: PlanStore) -> None:
    await store.add(a_plan())
    asked = await store.request_cancel("p-1", NOON)
    assert asked == await store.request_cancel("p-1", LATER) == await store.plan("p-1")
    assert asked.cancel_requested_at == NOON
    assert len(asked.tasks) == 2


async def test_a_plan_that_has_ended_is_not_cancelled(store: PlanStore) -> None:
    await store.add(a_plan())
    await store.close_plan("p-1", LATER)
    assert (await store.request_cancel("p-1", LATER)).cancel_requested_at is None
