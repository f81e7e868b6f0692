"""The parts of the simulation that can be looked at by themselves."""

import asyncio
from random import Random

import pytest
from devteam_router.simulation.event_clock import EventClock
from devteam_router.simulation.memory import Memory
from devteam_router.simulation.scenario import Burst, Scenario, Spread, Work
from devteam_router.simulation.traffic import expected, jobs

from tests.fakes.scenarios import a_burst, a_stream


def test_the_clock_jumps_from_event_to_event_in_their_order() -> None:
    clock, heard = EventClock(), list[tuple[str, float]]()

    def hear(word: str) -> None:
        heard.append((word, clock.monotonic()))

    def go_on() -> None:
        clock.call_later(1.0, lambda: hear("within"))

    clock.call_later(5.0, lambda: hear("later"))
    clock.call_later(2.0, go_on)
    clock.call_later(5.0, lambda: hear("last"))
    assert clock.run(100) is False
    assert heard == [("within", 3.0), ("later", 5.0), ("last", 5.0)]


def test_what_was_cancelled_takes_no_time() -> None:
    clock = EventClock()
    clock.call_later(5.0, lambda: None).cancel()
    assert (clock.run(1), clock.monotonic()) == (False, 0.0)


def test_both_clocks_go_together() -> None:
    clock = EventClock()
    before = clock.now()
    clock.call_later(90.0, lambda: None)
    assert clock.run(1)
    assert (clock.now() - before).total_seconds() == clock.monotonic() == 90.0


async def test_a_sleeper_wakes_when_the_clock_has_run() -> None:
    clock = EventClock()
    sleeper = asyncio.create_task(clock.sleep(60.0))
    await asyncio.sleep(0)
    clock.run(1)
    async with asyncio.timeout(10):
        await sleeper


def test_a_model_that_nobody_uses_makes_room_and_the_oldest_first() -> None:
    memory = Memory({"a", "b", "c"}, load_time=4.0, room=2)
    assert memory.use("a", now=0.0) == 4.0
    assert memory.use("b", now=1.0) == 4.0
    memory.leave("a")
    memory.leave("b")
    assert memory.use("a", now=10.0) == 0.0
    assert memory.use("c", now=11.0) == 4.0
    assert memory.models == {"a", "c"}


def test_who_comes_while_a_model_is_loaded_waits_for_the_rest() -> None:
    memory = Memory({"a"}, load_time=4.0, room=None)
    assert [memory.use("a", now=0.0), memory.use("a", now=1.0), memory.use("api", now=1.0)] == [4.0, 3.0, 0.0]


def test_models_that_are_all_in_use_stay() -> None:
    memory = Memory({"a", "b"}, load_time=4.0, room=1)
    memory.use("a", now=0.0)
    memory.use("b", now=0.0)
    assert memory.models == {"a", "b"}


@pytest.mark.parametrize("spread", Spread)
def test_work_has_the_mean_that_was_asked_for(spread: Spread) -> None:
    random, work = Random(3), Work(20.0, spread, sigma=0.8)
    drawn = [work.draw(random) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(20.0, rel=0.03)
    assert min(drawn) > 0


def test_tasks_come_as_often_as_the_profile_says() -> None:
    stream = a_stream(1000.0, profile=(0.0, 2.0, *[0.5] * 22))
    came = [job.came for job in jobs(Scenario([], [stream], hours=2.5))]
    assert expected(stream, 2.5) == 2250.0
    assert came == sorted(came)
    assert (min(came) >= 3600, max(came) < 9000) == (True, True)
    assert sum(moment < 7200 for moment in came) == pytest.approx(2000, rel=0.1)
    assert sum(moment >= 7200 for moment in came) == pytest.approx(250, rel=0.25)


def test_a_burst_may_take_its_time() -> None:
    stream = a_burst(100, at=50.0)
    slow = a_stream(0.0, burst=Burst(100, 50.0, 10.0))
    assert {job.came for job in jobs(Scenario([], [stream]))} == {50.0}
    assert all(50.0 <= job.came < 60.0 for job in jobs(Scenario([], [slow])))


def test_another_stream_changes_nothing_about_the_first() -> None:
    stream = a_stream(100.0)
    alone = jobs(Scenario([], [stream]))
    beside = jobs(Scenario([], [stream, a_stream(50.0, name="other")]))
    assert [job for job in beside if job.stream is stream] == alone
