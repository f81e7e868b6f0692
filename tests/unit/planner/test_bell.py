"""Who is woken when."""

import asyncio

from devteam_planner.bell import CHANGED, Bell

from tests.fakes.clock import FakeClock


async def test_what_rings_between_two_looks_is_heard_at_the_next(clock: FakeClock) -> None:
    bell = Bell(clock)
    bell.ring("p-1")
    with bell.listening("p-1") as listener:
        bell.ring("p-1")
        bell.ring("p-1", "t-1")
        bell.ring("p-2", "t-2")
        assert await listener.heard(1.0) == {CHANGED, "t-1"}
        bell.ring("p-1", "t-3")
        assert await listener.heard(1.0) == {"t-3"}


async def test_a_ring_wakes_everyone_who_listens(clock: FakeClock) -> None:
    bell = Bell(clock)
    with bell.listening("p-1") as one, bell.listening("p-1") as two:
        waiting = [asyncio.create_task(listener.heard(1.0)) for listener in (one, two)]
        await asyncio.sleep(0)
        bell.ring("p-1")
        async with asyncio.timeout(60):
            assert await asyncio.gather(*waiting) == [{CHANGED}, {CHANGED}]


async def test_silence_ends(clock: FakeClock) -> None:
    bell = Bell(clock)
    with bell.listening("p-1") as listener:
        waiting = asyncio.create_task(listener.heard(0.5))
        await asyncio.sleep(0)
        clock.advance(0.4)
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.advance(0.1)
        async with asyncio.timeout(60):
            assert await waiting == set()
        assert await listener.heard(0) == set()


async def test_nobody_listens_any_more(clock: FakeClock) -> None:
    """A bell that has rung for many plans remembers none of them."""
    bell = Bell(clock)
    with bell.listening("p-1"), bell.listening("p-1"):
        pass
    bell.ring("p-1")
    assert not bell._listeners


async def test_who_listens_to_all_hears_of_changes_and_not_of_tokens(clock: FakeClock) -> None:
    bell = Bell(clock)
    with bell.listening_to_all() as listener:
        bell.ring("p-1", "t-1")
        bell.ring("p-2")
        assert await listener.heard(0) == {CHANGED}
    bell.ring("p-1")
    assert await listener.heard(0) == set()
