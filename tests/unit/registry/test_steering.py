"""Changes of the routing: one at a time, stored before they take effect, told to watchers."""

import asyncio

import pytest
from devteam_registry import journal
from devteam_registry.changes import Changes
from devteam_registry.domain import Change
from devteam_registry.routing import PolicyChange, QueuePolicy, Routing, RoutingChange, Strategy
from devteam_registry.steering import Steering
from devteam_registry.store.memory import MemoryRoutingStore

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.worker_store import FakeRoutingStore

PAUSE = PolicyChange(QueuePolicy("gpu", paused=True), frozenset({"paused"}))
IN_TURN = RoutingChange(Routing(strategy=Strategy.ROUND_ROBIN), frozenset({"strategy"}))
BOTH = Routing(strategy=Strategy.ROUND_ROBIN, queues=(QueuePolicy("gpu", paused=True),))


@pytest.fixture
def store() -> FakeRoutingStore:
    return FakeRoutingStore()


@pytest.fixture
def changes() -> Changes[Change]:
    return Changes[Change]()


@pytest.fixture
def steering(store: FakeRoutingStore, clock: FakeClock, changes: Changes[Change]) -> Steering:
    return Steering(store, clock, changes)


async def settled() -> None:
    """Let everything run that can run without the clock."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_change_is_stored_and_told(
    steering: Steering, store: FakeRoutingStore, changes: Changes[Change]
) -> None:
    """And holds from then on; one that changes nothing is told nobody."""
    with changes.subscribed() as feed:
        changed = await steering.change(PAUSE)
        await steering.change(PAUSE)
        await steering.change(IN_TURN)
        assert [await feed.next(), await feed.next()] == [changed, BOTH]
    assert steering.routing == BOTH
    assert await store.load() == BOTH


async def test_what_was_stored_holds_after_a_restart(
    steering: Steering, store: FakeRoutingStore, clock: FakeClock, changes: Changes[Change]
) -> None:
    await steering.change(PAUSE)
    restarted = Steering(store, clock, changes)
    await restarted.open()
    assert restarted.routing == steering.routing


async def test_a_change_does_not_hold_before_it_is_stored(steering: Steering, store: FakeRoutingStore) -> None:
    store.gate.clear()
    changing = asyncio.create_task(steering.change(PAUSE))
    await asyncio.wait_for(store.arrived.wait(), 60)
    assert steering.routing == Routing()
    store.gate.set()
    assert await asyncio.wait_for(changing, 60) == steering.routing


async def test_a_change_that_cannot_be_stored_did_not_happen(
    steering: Steering, store: FakeRoutingStore, changes: Changes[Change]
) -> None:
    store.down = True
    with changes.subscribed() as feed:
        with pytest.raises(Unavailable):
            await steering.change(PAUSE)
        store.down = False
        await steering.change(IN_TURN)
        assert await feed.next() == Routing(strategy=Strategy.ROUND_ROBIN)


async def test_two_changes_at_once_both_happen(steering: Steering, store: FakeRoutingStore) -> None:
    """The second builds on the first, though it came while that was being written."""
    store.gate.clear()
    both = [asyncio.create_task(steering.change(change)) for change in (PAUSE, IN_TURN)]
    await asyncio.wait_for(store.arrived.wait(), 60)
    store.gate.set()
    await asyncio.wait_for(asyncio.gather(*both), 60)
    assert steering.routing == BOTH
    assert await store.load() == BOTH


async def test_a_write_that_may_have_happened_is_put_right(
    steering: Steering, store: FakeRoutingStore, clock: FakeClock
) -> None:
    """The store took what the operator was refused: it gets memory's truth, as soon as it can be written to."""
    store.forgetful = True
    with pytest.raises(Unavailable):
        await steering.change(PAUSE)
    assert await store.load() == Routing(queues=(QueuePolicy("gpu", paused=True),))
    store.down, store.forgetful = True, False
    async with background(steering.run):
        await settled()
        store.down = False
        clock.advance(1)
        await settled()
    assert await store.load() == Routing()


async def test_a_caller_that_hangs_up_leaves_no_half_of_a_change(steering: Steering, store: FakeRoutingStore) -> None:
    """It reached the store all the same: that is put right with the last flush, at the latest."""
    store.gate.clear()
    changing = asyncio.create_task(steering.change(PAUSE))
    await asyncio.wait_for(store.arrived.wait(), 60)
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    await MemoryRoutingStore.save(store, Routing(queues=(QueuePolicy("gpu", paused=True),)))
    store.gate.set()
    await steering.flush()
    assert (await store.load(), steering.routing) == (Routing(), Routing())


async def test_a_store_that_does_not_answer_is_given_up(
    steering: Steering, store: FakeRoutingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hanging database holds no operator up for ever."""
    monkeypatch.setattr(journal, "_PATIENCE", 0.01)
    store.gate.clear()
    with pytest.raises(Unavailable) as caught:
        await steering.change(PAUSE)
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
