"""What every plan store knows of tenants and of what is under way: memory, SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from devteam_planner.domain import Plan, TaskState
from devteam_planner.ports import Ending, PlanStore
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.tables import MIGRATIONS
from sqlalchemy import create_engine

from devteam.mesh.database import migrate
from tests.fakes.planner_samples import NOON, PLAIN, a_plan, a_task
from tests.stores.planner_databases import opened


def plan_of(tenant: str, *queues: str, plan_id: str = "p-1", request_id: str = "") -> Plan:
    steps = [
        replace(a_task(plan_id, f"s{n}", position=n, spec=replace(PLAIN, queue=queue)), tenant=tenant)
        for n, queue in enumerate(queues)
    ]
    return replace(a_plan(plan_id, request_id=request_id), tasks=tuple(steps), tenant=tenant)


async def test_the_tenant_is_kept_with_plan_and_tasks(store: PlanStore) -> None:
    plan = plan_of("acme", "gpu", "", request_id="r-1")
    await store.add(plan)
    assert await store.plan("p-1") == plan
    assert (await store.head("p-1")).tenant == "acme"
    assert (await store.task("p-1.s0")).tenant == "acme"
    assert [task.tenant for task in await store.tasks(plan_id="p-1", state=None, before="", limit=9)] == ["acme"] * 2
    assert [plan.tenant for plan in await store.plans(state=None, before="", limit=9)] == ["acme"]


async def test_what_has_not_ended_is_counted_by_tenant_and_queue(store: PlanStore) -> None:
    """Steps that wait for others too; a task is counted until it has ended, however it ends."""
    await store.add(plan_of("default", "gpu", "gpu", ""))
    await store.add(plan_of("acme", "gpu", "cpu", plan_id="p-2"))
    assert await store.open_tasks() == {
        ("default", "gpu"): 2,
        ("default", ""): 1,
        ("acme", "gpu"): 1,
        ("acme", "cpu"): 1,
    }
    await store.begin_attempt("p-1.s0", after=0, reason="first attempt", now=NOON)
    assert (await store.open_tasks())["default", "gpu"] == 2
    assert await store.end_attempt("p-1.s0", 1, None, Ending(TaskState.QUEUED, burns=True), NOON)
    assert (await store.open_tasks())["default", "gpu"] == 2
    assert await store.end_task("p-1.s0", TaskState.FAILED, None, NOON)
    await store.close_plan("p-2", NOON)
    assert await store.open_tasks() == {("default", "gpu"): 1, ("default", ""): 1}


async def test_a_request_id_is_good_for_one_plan_of_each_tenant(store: PlanStore) -> None:
    first = plan_of("default", "", plan_id="p-1", request_id="r-1")
    other = plan_of("acme", "", plan_id="p-2", request_id="r-1")
    assert await store.add(first) == first
    assert await store.add(other) == other
    assert await store.add(plan_of("acme", "", plan_id="p-3", request_id="r-1")) == other
    assert await store.requested("acme", "r-1") == other
    assert await store.requested("default", "r-1") == first
    assert await store.requested("nobody", "r-1") is None
    assert await store.requested("default", "") is None


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_what_older_versions_left_open_is_counted(backend: str, request: pytest.FixtureRequest) -> None:
    """It becomes the default tenant's, in the queue that its spec names."""
    url = str(request.getfixturevalue(backend))
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "0002")
        connection.execute(sa.text(_OLD_PLAN))
        for task_id, queue, ended in (("a", "gpu", "NULL"), ("b", "gpu", "'2026-11-22 12:00:00'")):
            connection.execute(sa.text(_OLD_TASK.format(task_id=task_id, queue=queue, ended=ended)))
    engine.dispose()
    async with opened(url) as database:
        assert await SqlPlanStore(database).open_tasks() == {("default", "gpu"): 1}


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_counting_looks_at_nothing_but_what_is_open(backend: str, request: pytest.FixtureRequest) -> None:
    """However many tasks have ended."""
    explain = {"sqlite_url": "EXPLAIN QUERY PLAN ", "postgres_url": "EXPLAIN "}[backend]
    async with opened(str(request.getfixturevalue(backend))) as database, database.read() as connection:
        if backend == "postgres_url":
            await connection.execute(sa.text("SET enable_seqscan = off"))  # the table is empty: it would be cheaper
        plan = await connection.execute(sa.text(explain + _COUNT))
        assert "ix_tasks_open" in str(plan.all())


_COUNT = "SELECT tenant, wanted_queue, count(*) FROM tasks WHERE ended_at IS NULL GROUP BY tenant, wanted_queue"
_OLD_PLAN = (
    "INSERT INTO plans (plan_id, name, sole, state, input, created_at, request_digest, trace_context, version) "
    "VALUES ('p-1', 'old', FALSE, 'running', '{}', '2026-11-22 12:00:00', 'd', '{}', 0)"
)
_OLD_TASK = (
    "INSERT INTO tasks (task_id, plan_id, step_id, position, sole, spec, depends_on, state, created_at, attempt, "
    "attempt_open, burnt, queue, placement_reason, wait_reason, output_bytes, version, output, ended_at) VALUES "
    "('{task_id}', 'p-1', '{task_id}', 0, FALSE, '{{\"queue\"\\: \"{queue}\"}}', '[]', 'queued', "
    "'2026-11-22 12:00:00', 0, FALSE, 0, '', '', '', 0, 0, '', {ended})"
)
