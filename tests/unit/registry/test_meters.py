"""What a Registry's metrics say."""

import asyncio
from functools import partial

import pytest
from devteam_registry import meters
from devteam_registry.domain import Availability, WishChange
from devteam_registry.health import HealthPolicy
from devteam_registry.service import Registry
from devteam_registry.store.memory import MemoryRoutingStore

from devteam.mesh.metrics.readings import readable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.scrape import metered, scraped
from tests.fakes.worker_store import FakeWorkerStore
from tests.unit.registry.samples import spec

STATES = {"healthy": 0, "suspect": 0, "unhealthy": 0, "lost": 0}


@pytest.fixture
def registry(clock: FakeClock) -> Registry:
    return Registry(FakeWorkerStore(), MemoryRoutingStore(), clock, HealthPolicy())


async def test_with_no_worker_every_state_is_there_and_0(registry: Registry) -> None:
    async with metered():
        with readable(partial(meters.read, registry)):
            scrape = await scraped()
    assert scrape.of("devteam_workers", "state") == STATES
    availabilities = scrape.of("devteam_workers_availability", "availability")
    assert availabilities == {"open": 0, "cordoned": 0, "draining": 0}
    assert (scrape.value("devteam_routers"), scrape.value("devteam_deaths_frozen")) == (0, 0)


async def test_workers_are_counted_by_their_state_and_by_whether_they_take_work(registry: Registry) -> None:
    await registry.open()
    for number in range(3):
        await registry.register(spec(f"w{number}"), "i1")
    await registry.update("w0", WishChange(availability=Availability.CORDONED))
    async with metered():
        with readable(partial(meters.read, registry)):
            scrape = await scraped()
    assert scrape.of("devteam_workers", "state") == {**STATES, "healthy": 3}
    availabilities = scrape.of("devteam_workers_availability", "availability")
    assert availabilities == {"open": 2, "cordoned": 1, "draining": 0}


async def test_a_fleet_that_falls_silent_together_is_told_as_frozen(registry: Registry, clock: FakeClock) -> None:
    await registry.open()
    for number in range(4):
        await registry.register(spec(f"w{number}"), "i1")
    async with metered(), background(registry.run):
        with readable(partial(meters.read, registry)):
            for _ in range(130):
                await _second(clock)
            scrape = await scraped()
    assert scrape.of("devteam_workers", "state") == {**STATES, "unhealthy": 4}
    assert scrape.value("devteam_deaths_frozen") == 1


async def test_routers_that_watch_are_counted(registry: Registry) -> None:
    await registry.open()
    watch = registry.watch("router-1")
    await anext(watch)
    async with metered():
        with readable(partial(meters.read, registry)):
            assert (await scraped()).value("devteam_routers") == 1
            await watch.aclose()
            assert (await scraped()).value("devteam_routers") == 0


async def _second(clock: FakeClock) -> None:
    for _ in range(4):
        await asyncio.sleep(0)
    clock.advance(1)
    for _ in range(4):
        await asyncio.sleep(0)
