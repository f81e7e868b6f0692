"""One tenant's plans and tasks, page by page, from an index: memory, SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from devteam_planner.app import opened_stores
from devteam_planner.domain import Plan, TaskState
from devteam_planner.overview import Count, Overview
from devteam_planner.ports import PlanStore
from devteam_planner.store import listings
from devteam_planner.store import overview_statements as statements
from sqlalchemy.dialects import postgresql, sqlite

from devteam.mesh.database import Database
from tests.fakes.planner_samples import NOON, a_plan, a_sole_task
from tests.stores.attempts import W1
from tests.stores.planner_databases import BACKENDS, backend, opened

SECOND = timedelta(seconds=1)
PAGE: dict[str, Any] = {"state": None, "before": "", "limit": 9}


@dataclass(frozen=True, slots=True)
class Stores:
    """Stores that see each other's writes."""

    plans: PlanStore
    overview: Overview


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    url, cipher = backend(request)
    async with opened_stores(url, cipher) as found:
        yield Stores(found.plans, found.overview)


def of(tenant: str, plan: Plan) -> Plan:
    return replace(plan, tenant=tenant, tasks=tuple(replace(task, tenant=tenant) for task in plan.tasks))


@pytest.fixture
async def filled(stores: Stores) -> Stores:
    """Two plans and two tasks of acme, and of globex in between."""
    for n, tenant in enumerate(("acme", "globex", "acme", "globex"), 1):
        await stores.plans.add(of(tenant, a_plan(f"p-{n}", ("a", "b"))))
        await stores.plans.add(of(tenant, a_sole_task(f"t-{n}")))
    return stores


async def test_lists_are_of_one_tenant_or_of_all(filled: Stores) -> None:
    plans = filled.plans
    assert [plan.plan_id for plan in await plans.plans(**PAGE, whose="acme")] == ["p-3", "p-1"]
    assert [plan.plan_id for plan in await plans.plans(**PAGE)] == ["p-4", "p-3", "p-2", "p-1"]
    assert [task.task_id for task in await plans.tasks(plan_id="", **PAGE, whose="globex")] == ["t-4", "t-2"]
    assert len(await plans.tasks(plan_id="", **PAGE)) == 4
    assert await plans.plans(**PAGE, whose="nobody") == []
    assert await plans.tasks(plan_id="", **PAGE, whose="nobody") == []


async def test_pages_go_on_from_any_id(filled: Stores) -> None:
    """Also from that of another tenant's."""
    found = await filled.plans.tasks(plan_id="", state=None, before="t-4", limit=1, whose="acme")
    assert [task.task_id for task in found] == ["t-3"]
    found = await filled.plans.tasks(plan_id="", state=None, before="t-3", limit=9, whose="acme")
    assert [task.task_id for task in found] == ["t-1"]
    await filled.plans.end_task("t-1", TaskState.FAILED, None, NOON)
    found = await filled.plans.tasks(plan_id="", state=TaskState.FAILED, before="", limit=9, whose="acme")
    assert [task.task_id for task in found] == ["t-1"]
    assert await filled.plans.plans(state=None, before="p-1", limit=9, whose="acme") == []


async def test_the_tasks_of_a_plan_are_its_tenants(filled: Stores) -> None:
    assert len(await filled.plans.tasks(plan_id="p-1", **PAGE, whose="acme")) == 2
    assert await filled.plans.tasks(plan_id="p-1", **PAGE, whose="globex") == []


async def test_what_is_open_and_what_has_ended_too(filled: Stores) -> None:
    overview = filled.overview
    assert [task.task_id for task in await overview.open("p-1.b", 3, "acme")] == ["p-3.a", "p-3.b", "t-1"]
    for n in (1, 2, 3):
        await filled.plans.end_task(f"t-{n}", TaskState.FAILED, None, NOON + n * SECOND)
    assert await overview.ended(NOON, 9, "acme") == ["t-1", "t-3"]
    assert await overview.ended(NOON, 1, "acme") == ["t-3"]
    assert await overview.ended(NOON + 2 * SECOND, 9, "acme") == ["t-3"]
    assert [task.task_id for task in await overview.open("p-3.b", 9, "acme")] == []


async def test_counts_say_whose_they_are(filled: Stores) -> None:
    for task_id in ("t-1", "t-2"):
        await filled.plans.begin_attempt(task_id, after=0, reason="", now=NOON)
        await filled.plans.note_assigned(task_id, 1, W1, "q", "", NOON)
    counts = sorted(await filled.overview.counts(), key=lambda count: count.task_id)
    assert counts == [Count("t-1", 1, 0, "acme"), Count("t-2", 1, 0, "globex")]


_GIVEN = {"after": "a", "at_most": 9, "since": NOON, "whose": "acme"}


def queries(dialect: str) -> dict[str, sa.Select[Any]]:
    """What one tenant's pages are read with, by the index that has to serve it."""
    tasks = listings.tasks_of(plan_id="", state=None, before="t-9", limit=9, whose="acme")
    return {
        "ix_plans_tenant": listings.plans_of(state=None, before="p-9", limit=9, whose="acme"),
        "ix_tasks_tenant": tasks,
        "ix_tasks_tenant_ended": statements.ENDED_OF,
        "ix_tasks_tenant_open": statements.of_tenant(statements.still_open(statements.seen(dialect))),
    }


async def explained(database: Database, query: sa.Select[Any]) -> str:
    """How the database would go about it."""
    lite = database.dialect == "sqlite"
    known = [name for name in query.compile().params if name in _GIVEN]
    text = query.params({name: _GIVEN[name] for name in known}).compile(
        dialect=sqlite.dialect() if lite else postgresql.dialect(),  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
        compile_kwargs={"literal_binds": True},
    )
    async with database.read() as connection:
        if not lite:
            for cheaper in ("seqscan", "bitmapscan", "hashjoin", "sort"):  # the tables are empty
                await connection.execute(sa.text(f"SET enable_{cheaper} = off"))
        said = await connection.execute(sa.text(("EXPLAIN QUERY PLAN " if lite else "EXPLAIN ") + str(text)))
        return str(said.all())


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_an_index_serves_every_page_of_a_tenant(backend: str, request: pytest.FixtureRequest) -> None:
    """And in its order: nothing is sorted, however many tasks the others have."""
    async with opened(str(request.getfixturevalue(backend))) as database:
        for index, query in queries(database.dialect).items():
            plan = await explained(database, query)
            assert f"{index} " in plan, (index, plan)
            assert "TEMP B-TREE" not in plan, (index, plan)
            assert "Sort" not in plan, (index, plan)
            if database.dialect == "sqlite":
                assert f"{index} (tenant=?" in plan, plan
