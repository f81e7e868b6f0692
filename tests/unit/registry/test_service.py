import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from devteam_registry.domain import (
    Availability,
    Beat,
    Change,
    Changed,
    Farewell,
    Removed,
    RouterList,
    Snapshot,
    WishChange,
    Wishes,
)
from devteam_registry.health import HealthPolicy, WorkerState
from devteam_registry.links import LinkReport, LinkWord
from devteam_registry.owners import Owner
from devteam_registry.routers import ROUTER_GRACE
from devteam_registry.routing import Routing, RoutingChange, Strategy
from devteam_registry.service import Registry
from devteam_registry.store.memory import MemoryRoutingStore

from devteam.mesh.errors import NotFound, PermissionDenied, Unavailable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.worker_store import FakeWorkerStore
from tests.unit.registry.samples import spec


@pytest.fixture
def store() -> FakeWorkerStore:
    return FakeWorkerStore()


@pytest.fixture
def registry(store: FakeWorkerStore, clock: FakeClock) -> Registry:
    return Registry(store, MemoryRoutingStore(), clock, HealthPolicy())


async def snapshot_after_routing(events: AsyncIterator[Snapshot | Change]) -> Snapshot:
    """What a watch begins with."""
    routing, routers, snapshot = [await anext(events) for _ in range(3)]
    assert isinstance(routing, Routing)
    assert isinstance(routers, RouterList)
    assert isinstance(snapshot, Snapshot)
    return snapshot


async def test_a_registration_is_stored_before_it_is_answered(registry: Registry, store: FakeWorkerStore) -> None:
    """The store knows the digest of the token, never the token."""
    registration = await registry.register(spec("w1"), "i1")
    [stored] = await store.load_all()
    assert stored == registration.view.worker
    assert registration.session_token not in repr(stored)


async def test_a_registration_that_cannot_be_stored_did_not_happen(registry: Registry, store: FakeWorkerStore) -> None:
    """A store that is away refuses the newcomer and leaves the old instance in place."""
    old = await registry.register(spec("w1"), "i1")
    store.down = True
    with pytest.raises(Unavailable):
        await registry.register(spec("w1"), "i2")
    with pytest.raises(Unavailable):
        await registry.update("w1", WishChange(concurrency=3))
    with pytest.raises(Unavailable):
        await registry.deregister(Farewell("w1", "i1", old.session_token))
    assert registry.get("w1").worker == old.view.worker
    registry.beat(Beat("w1", "i1", old.session_token))


async def test_a_key_that_ends_while_a_worker_registers_with_it_holds_no_id(
    registry: Registry, store: FakeWorkerStore
) -> None:
    """However long the store takes: another key need not wait until that worker is lost."""
    store.gate.clear()
    registering = asyncio.create_task(registry.register(spec("w1"), "i1", Owner("one")))
    await asyncio.wait_for(store.arrived.wait(), 60)
    registry.key_ended("one")
    store.gate.set()
    await registering
    registration = await registry.register(spec("w1"), "i2", Owner("another"))
    assert registration.view.worker.owner == Owner("another")
    with pytest.raises(PermissionDenied):
        await registry.register(spec("w1"), "i3", Owner("third"))


async def test_a_beat_never_waits_for_the_store(registry: Registry, store: FakeWorkerStore) -> None:
    """Beats are answered while a write hangs, and are written later."""
    token = (await registry.register(spec("w1"), "i1")).session_token
    store.gate.clear()
    store.arrived.clear()
    hanging = asyncio.create_task(registry.register(spec("w2"), "i1"))
    await asyncio.wait_for(store.arrived.wait(), 60)
    registry.beat(Beat("w1", "i1", token, active_tasks=5))
    store.gate.set()
    await asyncio.wait_for(hanging, 60)
    await registry.close()
    assert [worker.active_tasks for worker in await store.load_all()] == [5, 0]


async def test_beats_during_an_update_are_not_lost(registry: Registry, store: FakeWorkerStore) -> None:
    """What a beat said while the store was writing stays true."""
    token = (await registry.register(spec("w1"), "i1")).session_token
    store.gate.clear()
    store.arrived.clear()
    updating = asyncio.create_task(registry.update("w1", WishChange(concurrency=3)))
    await asyncio.wait_for(store.arrived.wait(), 60)
    registry.beat(Beat("w1", "i1", token, active_tasks=5))
    store.gate.set()
    view = await asyncio.wait_for(updating, 60)
    assert (view.worker.active_tasks, view.worker.wishes) == (5, Wishes(concurrency=3))


async def test_a_watch_loses_nothing_between_snapshot_and_changes(registry: Registry) -> None:
    """What happens while the snapshot is still being read comes after it."""
    await registry.register(spec("w1"), "i1")
    async with aclosing(registry.watch()) as events:
        first = await snapshot_after_routing(events)
        await registry.register(spec("w2"), "i1")
        await registry.deregister(Farewell("w1", reason="moved"))
        second, third = await anext(events), await anext(events)
    assert ([view.worker.worker_id for view in first.views], first.complete) == (["w1"], True)
    assert isinstance(second, Changed)
    assert second.view.worker.worker_id == "w2"
    assert third == Removed("w1", "i1", "moved")


async def test_a_watch_loses_no_routing_between_its_beginning_and_changes(registry: Registry) -> None:
    """What an operator or a Router does while the beginning is still being read comes after it."""
    in_turn = RoutingChange(Routing(strategy=Strategy.ROUND_ROBIN), frozenset({"strategy"}))
    async with aclosing(registry.watch()) as events, aclosing(registry.watch("router-1", "r1:7402")) as router:
        await anext(events)
        await registry.update_routing(in_turn)
        await anext(router)
        seen = [await anext(events) for _ in range(4)]
    assert [type(event) for event in seen] == [RouterList, Snapshot, Routing, RouterList]
    assert seen[2] == Routing(strategy=Strategy.ROUND_ROBIN)
    assert seen[3] == registry.routers


async def test_wishes_survive_a_worker_that_leaves_and_a_restart_of_the_registry(
    store: FakeWorkerStore, clock: FakeClock
) -> None:
    """A worker says goodbye, the Registry restarts, and the worker comes back with its operator's wishes."""
    registry = Registry(store, MemoryRoutingStore(), clock, HealthPolicy())
    token = (await registry.register(spec("w1"), "i1")).session_token
    await registry.update("w1", WishChange(concurrency=6, availability=Availability.CORDONED))
    await registry.deregister(Farewell("w1", "i1", token))
    restarted = Registry(store, MemoryRoutingStore(), clock, HealthPolicy())
    await restarted.open()
    with pytest.raises(NotFound):
        restarted.get("w1")
    view = (await restarted.register(spec("w1"), "i2")).view
    assert view.worker.wishes == Wishes(concurrency=6, availability=Availability.CORDONED)


async def test_an_operator_who_removes_a_worker_forgets_its_wishes(registry: Registry, store: FakeWorkerStore) -> None:
    """Taken off the list by hand means: as if never known."""
    await registry.register(spec("w1"), "i1")
    await registry.update("w1", WishChange(concurrency=6))
    await registry.deregister(Farewell("w1"))
    assert await store.load_all() == []
    assert (await registry.register(spec("w1"), "i1")).view.worker.wishes == Wishes()


async def test_a_stopping_registry_ends_its_watches(registry: Registry) -> None:
    """Nobody waits for a stream that would never end by itself."""
    async with aclosing(registry.watch()) as events:
        await snapshot_after_routing(events)
        await registry.stop_watches()
        with pytest.raises(Unavailable):
            await anext(events)


async def seconds_pass(clock: FakeClock, seconds: float) -> None:
    """One by one, with a sweep after each."""
    for _ in range(int(seconds)):
        clock.advance(1.0)
        for _ in range(5):
            await asyncio.sleep(0)


CONNECTED = LinkReport("router-1", (LinkWord("w1", "i1", connected=True),))


async def test_a_router_that_does_not_come_back_leaves_its_workers_without_a_stream(
    registry: Registry, clock: FakeClock
) -> None:
    token = (await registry.register(spec("w1"), "i1")).session_token
    async with background(registry.run):
        async with aclosing(registry.watch("router-1")) as events:
            await anext(events)
            registry.report_links(CONNECTED)
            await seconds_pass(clock, ROUTER_GRACE + 2)
            assert registry.get("w1").health.state is WorkerState.HEALTHY
        await seconds_pass(clock, ROUTER_GRACE - 2)
        assert registry.get("w1").health.state is WorkerState.HEALTHY
        await seconds_pass(clock, 3)
        registry.beat(Beat("w1", "i1", token))
        assert registry.get("w1").health.state is WorkerState.SUSPECT


async def test_a_router_that_comes_back_in_time_keeps_its_word(registry: Registry, clock: FakeClock) -> None:
    await registry.register(spec("w1"), "i1")
    async with background(registry.run):
        for _ in range(2):
            async with aclosing(registry.watch("router-1")) as events:
                await anext(events)
                registry.report_links(CONNECTED)
            await seconds_pass(clock, ROUTER_GRACE - 2)
        assert registry.get("w1").health.state is WorkerState.HEALTHY
