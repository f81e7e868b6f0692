"""Tokens on their way to the store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from devteam_planner.bell import Bell
from devteam_planner.domain import Batch, WorkerInstance
from devteam_planner.ports import Entry
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.token_log import TokenLog

from devteam.mesh.errors import Aborted, Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch

W1 = WorkerInstance("w1", "i1")


class Doors(MemoryPlanStore):
    """Lets everyone in but those who speak of tasks that are `shut`."""

    def __init__(self) -> None:
        super().__init__()
        self.shut: set[str] = set()

    def holds(self, task_id: str, attempt: int, worker: WorkerInstance | None) -> bool:
        return task_id not in self.shut


class GatedStore(MemoryTokenStore):
    """Keeps each transaction waiting until the test lets it through; fails while `failures` are left."""

    def __init__(self) -> None:
        self.doors = Doors()
        super().__init__(self.doors)
        self.writing: asyncio.Queue[list[Entry]] = asyncio.Queue()
        self.gate = asyncio.Semaphore(0)
        self.failures = 0
        self.reads = 0

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        self.writing.put_nowait(list(entries))
        await self.gate.acquire()
        if self.failures:
            self.failures -= 1
            raise Unavailable("disk full")
        return await super().append(entries)

    async def read(self, task_id: str, attempt: int, *, after: int, limit: int) -> list[Batch]:
        self.reads += 1
        return await super().read(task_id, attempt, after=after, limit=limit)


@dataclass
class Setting:
    """A running log, its store, and what it announced."""

    clock: FakeClock
    store: GatedStore = field(default_factory=GatedStore)
    stored: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bell = Bell(self.clock)
        self.log = TokenLog(
            self.store,
            self.bell,
            lambda *what: self.stored.append(what),
            self.clock,
            max_pending_bytes=1000,
            tail_bytes=1000,
        )

    async def append(self, batch: Batch, task_id: str = "t-1", attempt: int = 1) -> None:
        async with asyncio.timeout(60):
            await self.log.append("p-1", task_id, attempt, W1, batch)

    async def write(self) -> list[tuple[str, int, Batch]]:
        """Wait for the next transaction, let it through, and return what was in it."""
        written = await self.writing()
        self.store.gate.release()
        return written

    async def writing(self) -> list[tuple[str, int, Batch]]:
        """Wait for the next transaction, and return what is in it."""
        async with asyncio.timeout(60):
            entries = await self.store.writing.get()
        return [(entry.task_id, entry.attempt, entry.batch) for entry in entries]

    async def settle(self, task_id: str = "t-1") -> int:
        async with asyncio.timeout(60):
            return await self.log.settle(task_id, 1)


@pytest.fixture
async def setting(clock: FakeClock) -> AsyncIterator[Setting]:
    made = Setting(clock)
    async with background(made.log.run):
        yield made


ONE, TWO, THREE = a_batch(1, "a"), a_batch(2, "b", "c"), a_batch(4, "d")


async def test_tokens_that_come_one_by_one_are_written_at_once(setting: Setting) -> None:
    await setting.append(ONE)
    assert await setting.write() == [("t-1", 1, ONE)]
    assert await setting.settle() == 1
    await setting.append(TWO)
    assert await setting.write() == [("t-1", 1, TWO)]
    assert await setting.settle() == 3


async def test_while_one_transaction_is_under_way_the_next_gathers(setting: Setting) -> None:
    """From all tasks, in the order in which they came."""
    await setting.append(ONE)
    assert await setting.writing() == [("t-1", 1, ONE)]
    await setting.append(TWO)
    await setting.append(ONE, "t-2")
    await setting.append(THREE)
    setting.store.gate.release()
    assert await setting.write() == [("t-1", 1, TWO), ("t-2", 1, ONE), ("t-1", 1, THREE)]
    assert await setting.settle() == 4
    assert setting.stored == [("t-1", 1, 1), ("t-1", 1, 4), ("t-2", 1, 1)]


async def test_settling_waits_for_what_was_appended(setting: Setting) -> None:
    await setting.append(ONE)
    await setting.append(TWO)
    settling = asyncio.create_task(setting.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    assert await setting.write() == [("t-1", 1, ONE), ("t-1", 1, TWO)]
    assert await settling == 3


async def test_settling_an_attempt_without_tokens_does_not_wait(setting: Setting) -> None:
    await setting.append(ONE)
    assert await setting.settle("t-2") == 0


async def test_too_much_that_waits_holds_the_driver_back(setting: Setting) -> None:
    """Until there is room; a single batch larger than the bound passes when nothing else waits."""
    huge = a_batch(1, "x" * 1500)
    await setting.append(huge)
    held = asyncio.create_task(setting.append(ONE, "t-2"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not held.done()
    assert await setting.write() == [("t-1", 1, huge)]
    await held
    assert await setting.write() == [("t-2", 1, ONE)]


async def test_many_small_batches_hold_the_driver_back_too(setting: Setting) -> None:
    """What they cost in memory is more than what is in them."""
    for seq in range(1, 5):
        await setting.append(a_batch(seq, "x"))
    assert setting.log.pending_bytes > 4 * 200
    held = asyncio.create_task(setting.append(a_batch(5, "x")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not held.done()
    await setting.write()
    await held
    await setting.write()
    assert await setting.settle() == 5
    assert setting.log.pending_bytes == 0


async def test_a_store_that_fails_is_tried_again_and_nothing_is_lost(setting: Setting, clock: FakeClock) -> None:
    setting.store.failures = 2
    await setting.append(ONE)
    for _ in range(2):
        assert await setting.write() == [("t-1", 1, ONE)]
        await setting.append(a_batch(1, "y"), "t-2")
        for _ in range(5):
            await asyncio.sleep(0)
        assert setting.stored == []
        clock.advance(3.0)
    assert await setting.write() == [("t-1", 1, ONE)]
    assert await setting.settle() == 1
    assert len(await setting.write()) == 2


async def test_watchers_are_told_once_tokens_are_stored(setting: Setting) -> None:
    with setting.bell.listening("p-1") as listener:
        await setting.append(ONE)
        assert await listener.heard(0) == set()
        await setting.write()
        await setting.settle()
        assert await listener.heard(0) == {"t-1"}


async def test_new_tokens_are_read_from_memory(setting: Setting) -> None:
    """And those that memory no longer has, from the store."""
    for batch in (ONE, TWO, THREE):
        await setting.append(batch)
    await setting.write()
    await setting.settle()
    assert await setting.log.read("t-1", 1, 0, 2) == [ONE, TWO]
    assert await setting.log.read("t-1", 1, 2, 9) == [TWO, THREE]
    assert setting.store.reads == 0
    assert await setting.log.read("t-1", 1, 4, 9) == []
    setting.log.forget("t-1", 1)
    assert await setting.log.read("t-1", 1, 1, 9) == [TWO, THREE]
    assert setting.store.reads == 2


async def test_memory_keeps_only_the_newest(setting: Setting) -> None:
    batches = [a_batch(seq, "token") for seq in range(1, 21)]
    for batch in batches:
        await setting.append(batch)
        await setting.write()
        await setting.settle()
    assert await setting.log.read("t-1", 1, 18, 9) == batches[18:]
    assert setting.store.reads == 0
    assert await setting.log.read("t-1", 1, 3, 3) == batches[3:6]
    assert setting.store.reads == 1


async def test_an_attempt_is_followed_until_it_is_forgotten(setting: Setting) -> None:
    """Also when it is forgotten while its tokens still wait for the store."""
    assert not setting.log.follows("t-1", 1)
    await setting.append(ONE)
    assert setting.log.follows("t-1", 1)
    setting.log.forget("t-1", 1)
    await setting.write()
    await setting.settle()
    assert not setting.log.follows("t-1", 1)
    setting.log.forget("t-1", 1)


async def test_tokens_that_the_store_refuses_are_told_to_nobody_but_whoever_appended_them(setting: Setting) -> None:
    """Not acknowledged, not shown to watchers; those of other tasks in the same transaction are."""
    setting.store.doors.shut.add("t-1")
    await setting.append(ONE)
    await setting.write()
    await setting.settle()
    await setting.append(ONE, "t-2")
    with pytest.raises(Aborted) as refused:
        await setting.append(TWO)
    assert refused.value.reason == "FENCED"
    await setting.write()
    assert await setting.settle("t-2") == 1
    assert setting.stored == [("t-2", 1, 1)]
    assert await setting.log.read("t-1", 1, 0, 9) == []
    assert await setting.settle() == 0


async def test_whoever_takes_the_attempt_up_again_starts_without_a_grudge(setting: Setting) -> None:
    setting.store.doors.shut.add("t-1")
    await setting.append(ONE)
    await setting.write()
    await setting.settle()
    setting.log.forget("t-1", 1)
    setting.store.doors.shut.clear()
    await setting.append(ONE)
    await setting.write()
    assert await setting.settle() == 1


async def test_refused_writes_are_counted(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, str, int, int]] = []
    monkeypatch.setattr(
        "devteam_planner.fencing.refused",
        lambda what, task, attempt, count: counted.append((what, task, attempt, count)),
    )
    setting.store.doors.shut.add("t-1")
    await setting.append(ONE)
    assert len(await setting.writing()) == 1
    for batch in (TWO, THREE):
        await setting.append(batch)
    setting.store.gate.release()
    await setting.write()
    await setting.settle()
    assert counted == [("tokens", "t-1", 1, 1), ("tokens", "t-1", 1, 2)]
