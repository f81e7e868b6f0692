"""What every plan store does: one suite for memory, SQLite and PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_planner.domain import Plan, PlanState, TaskState
from devteam_planner.ports import PlanStore

from devteam.mesh.errors import NotFound
from tests.fakes.planner_samples import FULL, NOON, a_plan, a_sole_task, a_task
from tests.stores.attempts import LATER, SUCCESS, W1, begun, end


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
        (lambda: store.note_waiting("p-1.a", 1, "why", NOON), 1, 2, 0),
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
