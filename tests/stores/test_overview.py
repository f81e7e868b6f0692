"""What every store shows of all tasks at once: memory, SQLite and PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from devteam_planner.app import opened_stores
from devteam_planner.domain import Cancelled, Task, TaskState
from devteam_planner.overview import Count, Overview, Write
from devteam_planner.ports import Ending, Entry, PlanStore, TokenStore
from devteam_planner.store.tables import MIGRATIONS
from sqlalchemy import create_engine

from tests.fakes.planner_samples import FULL, NOON, a_batch, a_plan, a_sole_task
from tests.stores.attempts import W1
from tests.stores.planner_databases import BACKENDS, backend, opened

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Stores:
    """Stores that see each other's writes."""

    plans: PlanStore
    tokens: TokenStore
    overview: Overview

    async def all_writes(self) -> dict[str, Write]:
        return {write.task_id: write for write in await self.overview.writes(NOON - SECOND, "", 1000)}


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Empty stores of every kind in turn."""
    url, cipher = backend(request)
    async with opened_stores(url, cipher) as found:
        yield Stores(found.plans, found.tokens, found.overview)


async def ids_of(tasks: Awaitable[list[Task]]) -> list[str]:
    return [task.task_id for task in await tasks]


async def test_tasks_are_seen_with_all_but_their_words(stores: Stores) -> None:
    """And with the name and the trace of their plan."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traced = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    [task] = (await stores.plans.add(replace(a_plan(steps=("a",)), trace_context=traced))).tasks
    spec = replace(task.spec, prompt="", system_prompt="")
    expected = replace(task, spec=spec, plan_name="research", trace_id=trace_id)
    assert await stores.overview.open("", 9) == [expected]
    assert await stores.overview.tasks(["p-1.a"]) == await stores.overview.open("", 9)
    assert await stores.overview.tasks(["nobody"]) == []


async def test_every_other_part_of_a_spec_is_seen(stores: Stores) -> None:
    plan = a_plan(steps=("a",))
    await stores.plans.add(replace(plan, tasks=tuple(replace(task, spec=FULL) for task in plan.tasks)))
    [seen] = await stores.overview.open("", 9)
    assert seen.spec == replace(FULL, prompt="", system_prompt="")
    await stores.plans.add(a_sole_task("t-1"))
    [sole] = await stores.overview.tasks(["t-1"])
    assert (sole.plan_name, sole.spec.prompt) == ("", "")


async def test_what_is_open_comes_in_the_order_of_ids(stores: Stores) -> None:
    """Steps that wait for others too, until they have ended; page by page."""
    await stores.plans.add(a_plan("p-2", ("b", "a")))
    await stores.plans.add(a_plan("p-1", ("c",)))
    assert await ids_of(stores.overview.open("", 2)) == ["p-1.c", "p-2.a"]
    assert await ids_of(stores.overview.open("p-2.a", 2)) == ["p-2.b"]
    await stores.plans.end_task("p-2.a", TaskState.SKIPPED, None, NOON)
    assert await ids_of(stores.overview.open("", 9)) == ["p-1.c", "p-2.b"]


async def test_what_has_ended_is_found_by_its_last_write(stores: Stores) -> None:
    """The newest, in the order of their ends."""
    await stores.plans.add(a_plan(steps=("a", "b", "c", "d")))
    for after, step in enumerate("bca"):
        await stores.plans.end_task(f"p-1.{step}", TaskState.FAILED, None, NOON + after * SECOND)
    assert await stores.overview.ended(NOON, 9) == ["p-1.b", "p-1.c", "p-1.a"]
    assert await stores.overview.ended(NOON, 2) == ["p-1.c", "p-1.a"]
    assert await stores.overview.ended(NOON + 2 * SECOND, 9) == ["p-1.a"]
    assert await ids_of(stores.overview.tasks(["p-1.a", "p-1.d"])) == ["p-1.a", "p-1.d"]


async def test_every_write_is_seen(stores: Stores) -> None:
    """Each that changes what is seen of a task has its moment and a higher version."""
    plans, task = stores.plans, "p-1.a"
    await plans.add(a_plan(steps=("a", "b")))
    assert await stores.all_writes() == {task: Write(NOON, task, 0), "p-1.b": Write(NOON, "p-1.b", 0)}
    stopped = Ending(TaskState.CANCELLED, burns=False, stopped=Cancelled(took=0.1))
    again = Ending(TaskState.QUEUED, burns=True, wait_reason="again")
    steps: list[Callable[[datetime], Awaitable[object]]] = [
        lambda now: plans.begin_attempt(task, after=0, reason="first", now=now),
        lambda now: plans.note_waiting(task, 1, "no worker", now),
        lambda now: plans.note_assigned(task, 1, W1, "q", "in turn", now),
        lambda now: plans.end_attempt(task, 1, W1, again, now),
        lambda now: plans.begin_attempt(task, after=1, reason="again", now=now),
        lambda now: plans.note_assigned(task, 2, W1, "q", "in turn", now),
        lambda now: plans.request_cancel("p-1", now),
        lambda now: plans.note_router_told(task, 2, now),
        lambda now: plans.note_worker_told(task, 2, now),
        lambda now: plans.end_attempt(task, 2, W1, stopped, now),
    ]
    for number, step in enumerate(steps, 1):
        now = NOON + number * SECOND
        assert await step(now)
        assert (await stores.all_writes())[task] == Write(now, task, number)
    assert (await stores.all_writes())["p-1.b"] == Write(NOON + 7 * SECOND, "p-1.b", 1)
    await plans.close_plan("p-1", NOON + 60 * SECOND)
    assert (await stores.all_writes())["p-1.b"] == Write(NOON + 60 * SECOND, "p-1.b", 2)
    assert (await stores.all_writes())[task].changed_at == NOON + 10 * SECOND


async def test_an_end_without_an_attempt_is_seen(stores: Stores) -> None:
    await stores.plans.add(a_plan(steps=("a",)))
    await stores.plans.end_task("p-1.a", TaskState.SKIPPED, None, NOON + SECOND)
    assert await stores.all_writes() == {"p-1.a": Write(NOON + SECOND, "p-1.a", 1)}


async def test_writes_come_in_their_order_and_go_on_where_they_were_left(stores: Stores) -> None:
    """Of the same moment by id."""
    await stores.plans.add(a_plan(steps=("d", "c", "b", "a")))
    await stores.plans.end_task("p-1.c", TaskState.SKIPPED, None, NOON + SECOND)
    first = await stores.overview.writes(NOON, "", 2)
    assert [write.task_id for write in first] == ["p-1.a", "p-1.b"]
    rest = await stores.overview.writes(first[-1].changed_at, first[-1].task_id, 9)
    assert [write.task_id for write in rest] == ["p-1.d", "p-1.c"]
    assert await stores.overview.writes(NOON + SECOND, "p-1.c", 9) == []


async def test_tokens_are_counted_of_what_runs(stores: Stores) -> None:
    """Of the current attempt; what is queued or has ended is not counted."""
    await stores.plans.add(a_plan(steps=("a", "b", "c")))
    for task_id in ("p-1.a", "p-1.b", "p-1.c"):
        await stores.plans.begin_attempt(task_id, after=0, reason="", now=NOON)
        await stores.plans.note_assigned(task_id, 1, W1, "q", "", NOON)
    spoken = [Entry(task_id, 1, W1, a_batch(1, "a", "b", "c")) for task_id in ("p-1.a", "p-1.c")]
    assert await stores.tokens.append([*spoken, Entry("p-1.a", 1, W1, a_batch(4, "d"))]) == []
    await stores.plans.end_attempt("p-1.c", 1, W1, Ending(TaskState.QUEUED, burns=True), NOON)
    counts = await stores.overview.counts()
    assert sorted(counts, key=lambda count: count.task_id) == [Count("p-1.a", 1, 4), Count("p-1.b", 1, 0)]


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_what_older_versions_wrote_has_a_moment_too(backend: str, request: pytest.FixtureRequest) -> None:
    """Its end, or else its start, or else its beginning."""
    url = str(request.getfixturevalue(backend))
    async with opened_stores(url) as found:
        plans = found.plans
        await plans.add(a_plan(steps=("a", "b", "c")))
        await plans.end_task("p-1.a", TaskState.FAILED, None, NOON + 9 * SECOND)
        await plans.begin_attempt("p-1.b", after=0, reason="", now=NOON)
        await plans.note_assigned("p-1.b", 1, W1, "q", "", NOON + 5 * SECOND)
    forget_moments(url)
    async with opened(url) as database, database.read() as connection:
        rows = await connection.execute(sa.text("SELECT task_id, changed_at FROM tasks ORDER BY task_id"))
        moments = {row.task_id: datetime.fromisoformat(str(row.changed_at)) for row in rows}
    noon = NOON.replace(tzinfo=None)
    assert moments == {"p-1.a": noon + 9 * SECOND, "p-1.b": noon + 5 * SECOND, "p-1.c": noon}


def forget_moments(url: str) -> None:
    """Take the schema back to what knows no moments."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    engine.dispose()


_OPEN = "SELECT state FROM tasks WHERE ended_at IS NULL AND task_id > 'a' ORDER BY task_id LIMIT 9"
_WRITES = (
    "SELECT changed_at, task_id, version FROM tasks WHERE (changed_at, task_id) > ('2026-11-22', 'a') "
    "ORDER BY changed_at, task_id LIMIT 9"
)
_RUNNING = "SELECT task_id, attempt FROM tasks WHERE state = 'running'"


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
@pytest.mark.parametrize(
    ("index", "query"),
    [("ix_tasks_unended", _OPEN), ("ix_tasks_changed", _WRITES), ("ix_tasks_running", _RUNNING)],
)
async def test_indexes_serve_what_is_read(backend: str, index: str, query: str, request: pytest.FixtureRequest) -> None:
    """However many tasks have ended."""
    explain = {"sqlite_url": "EXPLAIN QUERY PLAN ", "postgres_url": "EXPLAIN "}[backend]
    async with opened(str(request.getfixturevalue(backend))) as database, database.read() as connection:
        if backend == "postgres_url":
            await connection.execute(sa.text("SET enable_seqscan = off"))  # the table is empty: it would be cheaper
        plan = str((await connection.execute(sa.text(explain + query))).all())
        assert index in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan
