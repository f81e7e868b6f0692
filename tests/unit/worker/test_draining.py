"""When a worker that drains hands back what still runs."""

import asyncio

import pytest
from devteam_worker.draining import Draining

from tests.fakes.clock import FakeClock


@pytest.fixture
def draining(clock: FakeClock) -> Draining:
    return Draining(clock, own_deadline=25.0)


async def test_nobody_wants_it_at_first(draining: Draining) -> None:
    wished = asyncio.ensure_future(draining.wished())
    await asyncio.sleep(0)
    assert not wished.done()
    draining.wish()
    await asyncio.wait_for(wished, 60)


def test_without_a_deadline_the_workers_own_holds_from_the_first_wish_on(draining: Draining, clock: FakeClock) -> None:
    draining.wish()
    clock.advance(10)
    draining.wish()
    assert draining.rest == 15.0


@pytest.mark.parametrize("given", [0.0, 7.0, 3600.0])
def test_a_given_deadline_takes_the_place_of_the_workers_own(draining: Draining, given: float) -> None:
    draining.wish()
    draining.wish(given)
    draining.wish()
    assert draining.rest == given


def test_told_twice_the_shorter_time_counts(draining: Draining, clock: FakeClock) -> None:
    draining.wish(100.0)
    clock.advance(10)
    draining.wish(100.0)
    assert draining.rest == 90.0
    draining.wish(20.0)
    assert draining.rest == 20.0
    clock.advance(30)
    assert draining.rest == 0.0


@pytest.mark.parametrize(("given", "rest"), [(None, 20.0), (3600.0, 25.0), (10.0, 5.0)])
def test_a_process_that_has_to_end_does_so_within_its_own_deadline(
    draining: Draining, clock: FakeClock, given: float | None, rest: float
) -> None:
    draining.wish(given)
    clock.advance(5)
    draining.stop()
    assert draining.rest == rest


def test_a_process_that_was_not_to_drain_before_has_its_own_deadline(draining: Draining) -> None:
    draining.stop()
    assert draining.rest == 25.0


async def test_a_deadline_expires_when_it_is_due_also_when_it_was_moved(draining: Draining, clock: FakeClock) -> None:
    draining.wish(3600.0)
    expired = asyncio.ensure_future(draining.expired())
    await asyncio.sleep(0)
    draining.wish(60.0)
    for _ in range(2):
        assert not expired.done()
        clock.advance(30)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.wait_for(expired, 60)


async def test_a_deadline_that_has_passed_has_expired(draining: Draining) -> None:
    draining.wish(0.0)
    await asyncio.wait_for(draining.expired(), 60)
