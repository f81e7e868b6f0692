"""How plans leave every store for good: memory, SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from devteam_planner.app import opened_stores
from devteam_planner.domain import Plan, TaskState
from devteam_planner.erasure import ErasureStore, Head
from devteam_planner.ports import Ending, Entry, PlanStore, TokenStore
from devteam_planner.store.sql_erasure import SqlErasures
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import metadata

from devteam.mesh.database import Database
from devteam.mesh.errors import NotFound
from tests.fakes.planner_samples import NOON, PLAIN, a_batch, a_plan, a_sole_task, a_task
from tests.stores.attempts import LATER, W1
from tests.stores.planner_databases import BACKENDS, backend, opened

DONE = Ending(TaskState.SUCCEEDED, burns=False, output="canary output")


@dataclass(frozen=True, slots=True)
class Stores:
    plans: PlanStore
    tokens: TokenStore
    erasures: ErasureStore
    database: Database | None = None

    async def begin(self, plan: Plan, batches: int = 3) -> None:
        """A plan with tokens of each of its tasks' first attempts."""
        await self.plans.add(plan)
        for task in plan.tasks:
            await self.plans.begin_attempt(task.task_id, after=0, reason="first attempt", now=NOON)
            await self.plans.note_assigned(task.task_id, 1, W1, "q", "turn", NOON)
            said = [Entry(task.task_id, 1, W1, a_batch(seq, f"canary token {seq}")) for seq in range(1, batches + 1)]
            assert await self.tokens.append(said) == []

    async def end(self, plan: Plan) -> None:
        """With success."""
        for task in plan.tasks:
            assert await self.plans.end_attempt(task.task_id, 1, W1, DONE, LATER)
        await self.plans.close_plan(plan.plan_id, LATER)

    async def rows(self) -> int:
        """How many there are, in all tables."""
        assert self.database is not None
        async with self.database.read() as connection:
            counts = [sa.select(sa.func.count()).select_from(table) for table in metadata.sorted_tables]
            return sum([await connection.scalar(count) for count in counts])


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    url, cipher = backend(request)
    async with opened_stores(url, cipher) as found:
        yield Stores(found.plans, found.tokens, found.erasures, found.database)


async def test_plans_and_tasks_of_their_own_are_walked_in_the_order_of_their_ids(stores: Stores) -> None:
    for plan_id in ("p-3", "p-1", "p-2"):
        await stores.plans.add(replace(a_plan(plan_id), tenant="acme"))
    await stores.plans.add(a_sole_task("t-1"))
    await stores.plans.close_plan("p-1", LATER)
    ended, open_ = Head("p-1", "acme", NOON, LATER), Head("p-2", "acme", NOON, None)
    assert await stores.erasures.heads(sole=False, after="", limit=2) == [ended, open_]
    assert [head.plan_id for head in await stores.erasures.heads(sole=False, after="p-2", limit=2)] == ["p-3"]
    assert await stores.erasures.heads(sole=True, after="", limit=2) == [Head("t-1", "default", NOON, None)]
    assert await stores.erasures.open_of(["p-1", "p-2", "p-9"]) == {"p-2"}


async def test_any_number_of_plans_may_be_asked_for(stores: Stores) -> None:
    """A tenant may have 100,000 open, and more where that is set: no database takes as many parameters."""
    await stores.plans.add(a_plan("p-2"))
    assert await stores.erasures.open_of({"p-2", *(f"q-{number}" for number in range(270_000))}) == {"p-2"}


async def test_of_an_erased_plan_nothing_is_left_and_nothing_else_goes(stores: Stores) -> None:
    gone, kept = a_plan("p-1", request_id="r-1"), a_plan("p-2")
    for plan in (gone, kept):
        await stores.begin(plan)
        await stores.end(plan)
    before = await stores.plans.plan("p-2")
    assert await stores.erasures.erase(["p-1"]) == (1, 2)
    for missing in (stores.plans.plan("p-1"), stores.plans.head("p-1"), stores.plans.task("p-1.a")):
        with pytest.raises(NotFound):
            await missing
    with pytest.raises(NotFound):
        await stores.plans.versions("p-1")
    assert await stores.plans.attempt("p-1.a", 1) is None
    assert await stores.tokens.last_seq("p-1.a", 1) == 0
    assert await stores.plans.requested("default", "r-1") is None
    assert await stores.plans.plan("p-2") == before
    assert await stores.tokens.last_seq("p-2.a", 1) == 3
    if stores.database is not None:
        assert await stores.rows() == 1 + 2 + 2 + 2 * 3
    assert await stores.erasures.erase(["p-1"]) == (0, 0)


async def test_a_plan_that_has_not_ended_is_left_alone(stores: Stores) -> None:
    """Whoever wants it gone has to stop it first."""
    await stores.begin(a_plan())
    assert await stores.erasures.erase(["p-1"]) == (0, 0)
    assert await stores.tokens.last_seq("p-1.a", 1) == 3
    assert [task.state for task in (await stores.plans.plan("p-1")).tasks] == [TaskState.RUNNING] * 2


async def test_late_words_about_an_erased_task_change_nothing(stores: Stores) -> None:
    await stores.begin(a_plan())
    await stores.end(a_plan())
    await stores.erasures.erase(["p-1"])
    late = Entry("p-1.a", 1, W1, a_batch(4, "late"))
    assert await stores.tokens.append([late]) == [late]
    assert not await stores.plans.end_attempt("p-1.a", 1, W1, DONE, LATER)
    assert await stores.plans.begin_attempt("p-1.a", after=1, reason="late", now=LATER) is None


@pytest.mark.parametrize("backend_url", ["sqlite_url", "postgres_url"])
async def test_others_write_between_the_parts_of_a_large_plan(backend_url: str, request: pytest.FixtureRequest) -> None:
    async with opened(str(request.getfixturevalue(backend_url))) as database:
        stores = Stores(SqlPlanStore(database), SqlTokenStore(database), SqlErasures(database), database)
        large = a_plan("p-1", [f"s{n}" for n in range(350)])
        await stores.plans.add(large)
        for step in ("s7", "s8"):
            await stores.plans.begin_attempt(f"p-1.{step}", after=0, reason="first attempt", now=NOON)
            await stores.plans.note_assigned(f"p-1.{step}", 1, W1, "q", "turn", NOON)
            said = [Entry(f"p-1.{step}", 1, W1, a_batch(seq, "word")) for seq in range(1, 701)]
            assert await stores.tokens.append(said) == []
        await stores.plans.close_plan("p-1", LATER)
        added = 0

        async def add_until(erased: "asyncio.Task[tuple[int, int]]") -> None:
            nonlocal added
            while not erased.done():
                await stores.plans.add(a_plan(f"q-{added}"))
                added += 1

        erasing = asyncio.create_task(stores.erasures.erase(["p-1"]))
        await add_until(erasing)
        assert await erasing == (1, 350)
        assert added >= 6, "one plan at least between two transactions"
        assert await stores.rows() == added * 3


async def test_what_was_erased_is_in_no_file_of_sqlite(tmp_path: Path) -> None:
    """Neither in the database, nor in the journal beside it; also what rows and pages held before they were changed."""
    path = tmp_path / "planner.db"
    async with opened(f"sqlite:///{path}") as database:
        stores = Stores(SqlPlanStore(database), SqlTokenStore(database), SqlErasures(database), database)
        await stores.begin(a_plan("p-kept"))
        for number, size in enumerate((10, 900, 3_000, 5_000, 100_000) * 8):
            spec = replace(PLAIN, prompt="canary prompt " * (size // 14 + 1), system_prompt="canary system prompt")
            plan = replace(a_plan(f"p-{number:02}"), tasks=(a_task(f"p-{number:02}", "a", spec=spec),))
            plan = replace(plan, input={"topic": "canary input"})
            await stores.begin(plan, batches=20)
            await stores.end(plan)
        assert _found(tmp_path, b"canary prompt"), "what is looked for would be found"
        assert await stores.erasures.erase([f"p-{number:02}" for number in range(40)]) == (40, 40)
        await stores.erasures.scrub()
        for canary in (b"canary prompt", b"canary system", b"canary input", b"canary output"):
            assert _found(tmp_path, canary) == []
        assert await stores.tokens.last_seq("p-kept.a", 1) == 3
        await stores.plans.add(a_plan("p-new"))


def _found(folder: Path, canary: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if canary in path.read_bytes()]
