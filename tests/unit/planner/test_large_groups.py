"""So many tokens gather that one transaction with all of them would hold the loop for long."""

import asyncio
from collections.abc import Sequence

import pytest
from devteam_planner.bell import Bell
from devteam_planner.domain import Batch, WorkerInstance
from devteam_planner.ports import Entry
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.token_log import TokenLog

from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock

W1 = WorkerInstance("w1", "i1")
BATCHES = 20_000
FENCED = "t-0"
TASKS = [f"t-{number}" for number in range(500)]


class OneIsOut(MemoryPlanStore):
    """Lets everyone in but those who speak of one task."""

    def holds(self, task_id: str, attempt: int, worker: WorkerInstance | None) -> bool:
        return task_id != FENCED


class Counting(MemoryTokenStore):
    """Notes how large each transaction is, and in which turn of the loop it came. It makes nobody wait."""

    def __init__(self) -> None:
        super().__init__(OneIsOut())
        self.turn = 0
        self.transactions: list[int] = []
        self.turns: list[int] = []

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        self.transactions.append(len(entries))
        self.turns.append(self.turn)
        return await super().append(entries)

    async def others(self) -> None:
        """What else runs on the loop."""
        while True:
            self.turn += 1
            await asyncio.sleep(0)


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def log(store: Counting, clock: FakeClock) -> TokenLog:
    return TokenLog(store, Bell(clock), lambda *_: None, clock)


async def gather(log: TokenLog) -> None:
    """Of the fenced task a thousand batches, between those of the others."""
    seqs = dict.fromkeys(TASKS, 0)
    for number in range(BATCHES):
        task = FENCED if number % 20 == 0 else TASKS[1 + number % 499]
        seqs[task] += 1
        await log.append("p-1", task, 1, W1, Batch(seqs[task], seqs[task], b"x" * 15))


async def written(log: TokenLog, store: Counting) -> None:
    async with background(store.others), background(log.run), asyncio.timeout(300):
        for task in TASKS:
            await log.settle(task, 1)


async def test_one_refused_attempt_is_told_from_the_others_without_comparing_all(
    log: TokenLog, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    def compare(one: Entry, other: object) -> bool:
        nonlocal compared
        compared += 1
        return one is other

    await gather(log)
    monkeypatch.setattr(Entry, "__eq__", compare)
    await written(log, store)
    assert compared <= BATCHES
    assert await log.settle(FENCED, 1) == 0
    assert await log.settle("t-1", 1) > 0


async def test_the_loop_is_free_between_transactions_of_bounded_size(log: TokenLog, store: Counting) -> None:
    """Also with a store that never waits."""
    await gather(log)
    await written(log, store)
    assert sum(store.transactions) == BATCHES
    assert max(store.transactions) <= 1_000
    assert len(set(store.turns)) == len(store.turns) > 1


async def test_the_order_is_kept_from_one_transaction_to_the_next(log: TokenLog, store: Counting) -> None:
    await gather(log)
    await written(log, store)
    stored = await store.read("t-1", 1, after=0, limit=BATCHES)
    assert [batch.first_seq for batch in stored] == list(range(1, len(stored) + 1))
    assert await log.read("t-1", 1, after=len(stored) - 1, limit=9) == stored[-1:]


async def test_what_has_waited_longest_tells_the_lag(log: TokenLog, store: Counting, clock: FakeClock) -> None:
    await gather(log)
    clock.advance(3)
    await log.append("p-1", "t-1", 1, W1, Batch(10_000, 10_000, b"x"))
    assert log.lag() == 3
    await written(log, store)
    assert log.lag() == 0


async def test_drivers_that_wait_are_woken_when_there_is_room_for_many(store: Counting, clock: FakeClock) -> None:
    """Each transaction would wake all of them, thousands of times for nothing."""
    bound, room_at = 1_000_000, asyncio.get_running_loop().create_future()
    log = TokenLog(store, Bell(clock), lambda *_: None, clock, max_pending_bytes=bound)

    async def held() -> None:
        await log.append("p-1", "t-2", 1, W1, Batch(1, 1, b"x" * 15))
        room_at.set_result(log.pending_bytes)

    seq = 0
    while log.pending_bytes + 215 <= bound:
        seq += 1
        await log.append("p-1", "t-1", 1, W1, Batch(seq, seq, b"x" * 15))
    async with asyncio.timeout(300), background(held), background(store.others), background(log.run):
        assert 0 < await room_at - 215 <= bound / 2
        assert await log.settle("t-2", 1) == 1
