import asyncio
from dataclasses import replace

import pytest
from devteam_registry import journal as journal_module
from devteam_registry.domain import Worker
from devteam_registry.journal import Journal

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.worker_store import FakeWorkerStore
from tests.unit.registry.samples import worker


async def settled() -> None:
    """Let everything run that can run without the clock."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_flush_writes_what_memory_holds_now(clock: FakeClock) -> None:
    """Marks carry no values: the latest is saved, and what memory forgot is deleted."""
    store, memory = FakeWorkerStore(), dict[str, Worker]()
    journal = Journal(store, clock, memory.get)
    await store.save_many([worker("gone")])
    memory["w1"] = worker("w1")
    journal.mark(["w1", "gone"])
    memory["w1"] = replace(worker("w1"), active_tasks=2)
    await journal.flush()
    assert await store.load_all() == [memory["w1"]]


async def test_a_failed_flush_is_tried_again_with_everything(clock: FakeClock) -> None:
    """A store that is away costs nothing but time."""
    store, memory = FakeWorkerStore(), {"w1": worker("w1"), "w2": worker("w2")}
    journal = Journal(store, clock, memory.get)
    store.down = True
    journal.mark(["w1"])
    async with background(journal.run):
        await settled()
        journal.mark(["w2"])
        store.down = False
        clock.advance(1)
        await settled()
        assert store.saves == [["w1", "w2"]]


async def test_beats_are_written_at_most_once_a_second(clock: FakeClock) -> None:
    """Marks that come within a second share one write."""
    store, memory = FakeWorkerStore(), {"w1": worker("w1"), "w2": worker("w2")}
    journal = Journal(store, clock, memory.get)
    async with background(journal.run):
        for quarter in range(8):
            journal.mark([f"w{quarter % 2 + 1}"])
            await settled()
            clock.advance(0.25)
            await settled()
    assert store.saves == [["w1"], ["w1", "w2"], ["w1", "w2"]]


async def test_a_write_that_may_have_happened_is_repaired(clock: FakeClock) -> None:
    """After a failed write the store gets memory's truth with the next flush."""
    store = FakeWorkerStore()
    journal = Journal(store, clock, {"w1": worker("w1")}.get)
    store.down = True
    async with journal.turn():
        with pytest.raises(Unavailable):
            await journal.write("w1", worker("w1", instance_id="i2"))
    store.down = False
    await journal.flush()
    assert await store.load_all() == [worker("w1")]


async def test_a_store_that_does_not_answer_is_given_up(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging database holds nobody up for ever."""
    monkeypatch.setattr(journal_module, "_PATIENCE", 0.01)
    store = FakeWorkerStore()
    store.gate.clear()
    journal = Journal(store, clock, dict[str, Worker]().get)
    with pytest.raises(Unavailable) as caught:
        await journal.write("w1", worker("w1"))
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
