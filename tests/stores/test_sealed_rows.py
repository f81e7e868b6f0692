"""Encryption at rest: what lies in the database, and who can still read it."""

from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Failure, FailureReason, Plan, TaskState
from devteam_planner.ports import Ending, Entry
from devteam_planner.store.sql_overview import SqlOverview
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import metadata

from devteam.mesh.database import Database
from devteam.mesh.errors import Unavailable
from tests.fakes.planner_samples import NOON, PLAIN, a_batch, a_plan, a_task
from tests.stores.attempts import W1
from tests.stores.planner_databases import KEYS, opened

CANARY = "canary"
FAILED = Failure(FailureReason.PROVIDER_UNAVAILABLE, "the provider said: canary failure", retryable=True)


@dataclass(frozen=True, slots=True)
class Stores:
    database: Database
    plans: SqlPlanStore
    tokens: SqlTokenStore
    overview: SqlOverview

    async def rows(self) -> str:
        """All that is in the database."""
        async with self.database.read() as connection:
            return "\n".join(
                [
                    str(tuple(row))
                    for table in metadata.sorted_tables
                    for row in await connection.execute(table.select())
                ]
            )


def stores(database: Database, cipher: Cipher) -> Stores:
    return Stores(
        database, SqlPlanStore(database, cipher), SqlTokenStore(database, cipher), SqlOverview(database, cipher)
    )


OLD, NEW, NONE = Cipher(KEYS, "old"), Cipher(KEYS, "new"), Cipher()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def wordy(plan_id: str = "p-1") -> Plan:
    spec = replace(PLAIN, prompt="canary prompt {{input.topic}}", system_prompt="canary system prompt")
    tasks = tuple(a_task(plan_id, step, position=n, spec=spec) for n, step in enumerate("abc"))
    return replace(
        a_plan(plan_id, digest="canary digest", request_id=f"r-{plan_id}"), input={"topic": "canary"}, tasks=tasks
    )


async def written(some: Stores, plan_id: str = "p-1") -> None:
    """A plan one of whose steps succeeded, and two of which failed: one for good, one to be tried again."""
    await some.plans.add(wordy(plan_id))
    again, failed = (
        Ending(TaskState.QUEUED, burns=True, failure=FAILED),
        Ending(TaskState.FAILED, burns=True, failure=FAILED),
    )
    succeeded = Ending(TaskState.SUCCEEDED, burns=False, output="canary output")
    for step, ending in (("a", succeeded), ("b", failed), ("c", again)):
        task_id = f"{plan_id}.{step}"
        await some.plans.begin_attempt(task_id, after=0, reason="first attempt", now=NOON)
        await some.plans.note_assigned(task_id, 1, W1, "q", "turn", NOON)
        assert await some.tokens.append([Entry(task_id, 1, W1, a_batch(1, "canary ", "token"))]) == []
        assert await some.plans.end_attempt(task_id, 1, W1, ending, NOON)
    await some.plans.begin_attempt(f"{plan_id}.c", after=1, reason=f"retry after {FAILED.message}", now=NOON)
    await some.plans.note_waiting(f"{plan_id}.c", 2, "canary: handed back", NOON)


async def test_no_word_of_it_is_in_the_database(url: str) -> None:
    async with opened(url) as database:
        await written(stores(database, NONE))
        assert (await stores(database, NONE).rows()).count(CANARY) >= 10, "what is looked for would be found"
    async with opened(url) as database:
        sealed = stores(database, NEW)
        before = (await sealed.rows()).count(CANARY)
        await written(sealed, "p-2")
        assert (await sealed.rows()).count(CANARY) == before


async def test_plain_rows_and_those_of_older_keys_are_read_side_by_side(url: str) -> None:
    async with opened(url) as database:
        for plan_id, cipher in (("p-1", NONE), ("p-2", OLD), ("p-3", NEW)):
            await written(stores(database, cipher), plan_id)
        reading = stores(database, NEW)
        for plan_id in ("p-1", "p-2", "p-3"):
            assert await reading.plans.requested("default", f"r-{plan_id}") == await reading.plans.plan(plan_id)
            head, task = await reading.plans.head(plan_id), await reading.plans.task(f"{plan_id}.a")
            assert (head.input, head.request_digest) == ({"topic": "canary"}, "canary digest")
            assert (task.spec.prompt, task.output) == ("canary prompt {{input.topic}}", "canary output")
            assert await reading.plans.outputs(plan_id, ["a", "b"]) == {"a": "canary output"}
            assert (await reading.plans.task(f"{plan_id}.b")).failure == FAILED
            assert (await reading.plans.task(f"{plan_id}.c")).wait_reason == "canary: handed back"
            attempt = await reading.plans.attempt(f"{plan_id}.c", 2)
            assert attempt is not None
            assert attempt.reason == f"retry after {FAILED.message}"
            assert await reading.tokens.read(f"{plan_id}.a", 1, after=0, limit=9) == [a_batch(1, "canary ", "token")]
        tasks = await reading.overview.tasks([f"{plan_id}.b" for plan_id in ("p-1", "p-2", "p-3")])
        assert [task.failure for task in tasks] == [FAILED] * 3


async def test_without_its_key_one_plan_is_refused_by_its_name_and_the_others_are_not(url: str) -> None:
    async with opened(url) as database:
        await written(stores(database, OLD), "p-1")
        await written(stores(database, NEW), "p-2")
        reading = stores(database, Cipher({"new": KEYS["new"]}, "new"))
        for refused in (
            reading.plans.task("p-1.a"),
            reading.plans.head("p-1"),
            reading.plans.outputs("p-1", ["a"]),
            reading.plans.attempt("p-1.c", 2),
            reading.tokens.read("p-1.a", 1, after=0, limit=9),
            reading.plans.requested("default", "r-p-1"),
        ):
            with pytest.raises(Unavailable, match="encrypted with key 'old', which the Planner does not have"):
                await refused
        assert (await reading.plans.task("p-2.a")).output == "canary output"


async def test_what_is_read_together_says_in_its_place_that_it_cannot_be_read(url: str) -> None:
    """Lists, whole plans, the sweep and those who look on go on."""
    async with opened(url) as database:
        await written(stores(database, OLD), "p-1")
        await written(stores(database, NEW), "p-2")
        reading = stores(database, Cipher({"new": KEYS["new"]}, "new"))
        first, second = await reading.plans.unstarted(9)
        assert "encrypted with key 'old'" in first.input["topic"]
        assert second.input == {"topic": "canary"}
        listed = await reading.plans.tasks(plan_id="p-1", state=None, before="", limit=9)
        assert all("encrypted with key 'old'" in task.spec.prompt for task in listed)
        assert [task.state for task in (await reading.plans.plan("p-1")).tasks] == [
            TaskState.SUCCEEDED,
            TaskState.FAILED,
            TaskState.QUEUED,
        ]
        assert len(await reading.plans.plans(state=None, before="", limit=9)) == 2
        seen = await reading.overview.tasks(["p-1.b", "p-2.b"])
        assert [task.failure is not None and CANARY in task.failure.message for task in seen] == [False, True]


async def test_rows_cannot_be_exchanged(url: str) -> None:
    """Whoever can write to the database puts one task's output into another."""
    swap = sa.text(
        "UPDATE tasks SET output = (SELECT output FROM tasks WHERE task_id = 'p-2.a') WHERE task_id = 'p-1.a'"
    )
    async with opened(url) as database:
        some = stores(database, NEW)
        await written(some, "p-1")
        await written(some, "p-2")
        async with database.write() as connection:
            await connection.execute(swap)
        with pytest.raises(Unavailable, match="cannot be decrypted: it was changed or moved"):
            await some.plans.task("p-1.a")
