"""What every token store does: one suite for memory, SQLite and PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from devteam_planner.domain import Batch, TaskState, WorkerInstance
from devteam_planner.ports import Ending, Entry, PlanStore, TokenStore
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore

from tests.fakes.planner_samples import NOON, a_batch, a_plan
from tests.stores.planner_databases import BACKENDS, backend, opened

ONE, TWO, THREE = a_batch(1, "a", "b"), a_batch(3, "c"), a_batch(4, "d", "e", "f")
W1, W2 = WorkerInstance("w1", "i1"), WorkerInstance("w2", "i2")
REBORN = WorkerInstance("w1", "i9")
LOST = Ending(TaskState.QUEUED, burns=True)
DONE = Ending(TaskState.SUCCEEDED, burns=False)


@dataclass(frozen=True, slots=True)
class Stores:
    """Tokens, and the tasks that fence them: steps a and b of p-1, whose first attempts W1 has."""

    plans: PlanStore
    tokens: TokenStore

    async def begin(self, task_id: str, *, after: int = 0, worker: WorkerInstance = W1) -> None:
        assert await self.plans.begin_attempt(task_id, after=after, reason="", now=NOON)
        assert await self.plans.note_assigned(task_id, after + 1, worker, "q", "turn", NOON)

    async def end(self, ending: Ending, attempt: int = 1) -> None:
        assert await self.plans.end_attempt("p-1.a", attempt, W1, ending, NOON)

    async def append(self, *batches: Batch, worker: WorkerInstance = W1, attempt: int = 1) -> list[Batch]:
        """Append tokens of p-1.a; returns those that were refused."""
        refused = await self.tokens.append([Entry("p-1.a", attempt, worker, batch) for batch in batches])
        return [entry.batch for entry in refused]

    async def read(self, after: int = 0, limit: int = 9) -> list[Batch]:
        return await self.tokens.read("p-1.a", 1, after=after, limit=limit)


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    url, cipher = backend(request)
    if url == "memory":
        plans = MemoryPlanStore()
        yield await begun(Stores(plans, MemoryTokenStore(plans)))
        return
    async with opened(url) as database:
        yield await begun(Stores(SqlPlanStore(database, cipher), SqlTokenStore(database, cipher)))


async def begun(stores: Stores) -> Stores:
    await stores.plans.add(a_plan())
    for task_id in ("p-1.a", "p-1.b"):
        await stores.begin(task_id)
    return stores


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of databases meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


async def test_tokens_are_read_in_order_after_any_of_them(stores: Stores) -> None:
    assert await stores.append(ONE, TWO) == []
    assert await stores.append(THREE) == []
    assert await stores.read() == [ONE, TWO, THREE]
    assert await stores.read(limit=2) == [ONE, TWO]
    assert await stores.read(after=1) == [ONE, TWO, THREE]
    assert await stores.read(after=2) == [TWO, THREE]
    assert await stores.read(after=5) == [THREE]
    assert await stores.read(after=6) == []
    assert await stores.tokens.last_seq("p-1.a", 1) == 6


async def test_attempts_are_kept_apart(stores: Stores) -> None:
    await stores.tokens.append([Entry("p-1.a", 1, W1, ONE), Entry("p-1.b", 1, W1, TWO)])
    await stores.end(LOST)
    await stores.begin("p-1.a", after=1)
    await stores.append(a_batch(1, "x"), attempt=2)
    assert await stores.read() == [ONE]
    keys = (("p-1.a", 1), ("p-1.a", 2), ("p-1.b", 1), ("p-1.c", 1))
    assert [await stores.tokens.last_seq(*key) for key in keys] == [2, 1, 3, 0]


async def test_a_batch_is_stored_once(stores: Stores) -> None:
    """Also when it comes twice in one transaction. It is not refused: it is there."""
    assert await stores.append(ONE, ONE) == []
    assert await stores.append(ONE, TWO) == []
    assert await stores.read() == [ONE, TWO]


async def test_a_batch_cut_otherwise_loses_nothing(stores: Stores) -> None:
    """Whoever takes over an attempt may get the same tokens in other batches."""
    longer = a_batch(1, "a", "b", "c")
    await stores.append(ONE)
    await stores.append(longer)
    assert await stores.read(after=2) == [longer]
    assert await stores.tokens.last_seq("p-1.a", 1) == 3


async def test_payloads_are_bytes_of_any_kind(stores: Stores) -> None:
    batch = Batch(1, 2**40, bytes(range(256)) * 4096)
    await stores.append(batch)
    assert await stores.read() == [batch]


async def test_late_tokens_of_an_older_attempt_are_refused(stores: Stores) -> None:
    await stores.append(ONE)
    await stores.end(LOST)
    await stores.begin("p-1.a", after=1)
    assert await stores.append(TWO, THREE) == [TWO, THREE]
    assert await stores.read() == [ONE]


async def test_tokens_of_a_coming_attempt_are_refused(stores: Stores) -> None:
    assert await stores.append(ONE, attempt=2) == [ONE]


@pytest.mark.parametrize("worker", [W2, REBORN, WorkerInstance("w2", "i1")])
async def test_tokens_of_another_worker_or_instance_are_refused(stores: Stores, worker: WorkerInstance) -> None:
    await stores.append(ONE)
    assert await stores.append(TWO, worker=worker) == [TWO]
    assert await stores.append(TWO) == []
    assert await stores.read() == [ONE, TWO]


async def test_tokens_of_an_attempt_that_nobody_has_are_refused(stores: Stores) -> None:
    await stores.plans.note_waiting("p-1.a", 1, "w1 refused it", NOON)
    assert await stores.append(ONE) == [ONE]


async def test_tokens_after_the_end_are_refused(stores: Stores) -> None:
    await stores.append(ONE)
    await stores.end(DONE)
    assert await stores.append(TWO) == [TWO]
    assert await stores.read() == [ONE]


async def test_a_replay_after_the_end_is_accepted_silently(stores: Stores) -> None:
    """A driver that was slower than the other says again what is stored."""
    await stores.append(ONE, TWO)
    await stores.end(DONE)
    assert await stores.append(ONE, TWO) == []


async def test_in_one_transaction_each_is_judged_by_itself(stores: Stores) -> None:
    await stores.append(ONE)
    late, replay = Entry("p-1.a", 1, W2, TWO), Entry("p-1.a", 1, W1, ONE)
    fine, unknown = Entry("p-1.b", 1, W1, ONE), Entry("p-9.a", 1, W1, ONE)
    assert await stores.tokens.append([late, replay, fine, unknown]) == [late, unknown]
    assert await stores.read() == [ONE]
    assert await stores.tokens.last_seq("p-1.b", 1) == 2


async def test_many_are_judged_with_two_statements(stores: Stores) -> None:
    """However many of them are refused or there already; the order is kept, and those refused are the very ones."""
    large = Batch(10_001, 10_900, b"merged")
    await stores.append(a_batch(1, "a"), a_batch(2, "b"), large)
    entries = [
        entry
        for seq in range(1, 301)
        for entry in (
            Entry("p-1.b", 1, W1, Batch(seq, seq, b"fine")),
            Entry("p-1.a", 1, W2, Batch(seq, seq, b"there or late")),
            Entry("p-1.a", 1, W2, Batch(10_000 + seq, 10_000 + seq, b"in the large one")),
            Entry("p-1.a", 1, W2, Batch(2**40 + seq, 2**40 + seq, b"late")),
            Entry('p-"9"\\.ä', 1, W1, Batch(seq, seq, b"unknown")),
        )
    ]
    with statements() as asked:
        refused = await stores.tokens.append(entries)
    assert len(asked) <= 2
    late = [e for e in entries if e.batch.payload == b"there or late" and e.batch.last_seq > 2]
    late += [e for e in entries if e.batch.payload in (b"late", b"unknown")]
    expected = set(map(id, late))
    assert [id(entry) for entry in refused] == [id(entry) for entry in entries if id(entry) in expected]
    assert await stores.tokens.last_seq("p-1.b", 1) == 300
    assert await stores.read(limit=999) == [a_batch(1, "a"), a_batch(2, "b"), large]
