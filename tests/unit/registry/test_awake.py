import pytest
from devteam_registry.awake import AwakeTime

from tests.fakes.clock import FakeClock


def test_awake_time_follows_the_clock_while_ticks_come(clock: FakeClock) -> None:
    """Between punctual ticks it is the monotonic clock."""
    awake = AwakeTime(clock, 1.0)
    for _ in range(100):
        clock.advance(1.0)
        assert awake.tick() == 0
    clock.advance(0.5)
    assert awake.now() == pytest.approx(100.5)


def test_a_tick_up_to_two_seconds_late_is_no_stall(clock: FakeClock) -> None:
    """Small delays are lived through."""
    awake = AwakeTime(clock, 1.0)
    clock.advance(3.0)
    assert awake.tick() == pytest.approx(0.0)
    assert awake.now() == pytest.approx(3.0)


def test_a_stall_is_left_out_of_the_time(clock: FakeClock) -> None:
    """70 seconds without a tick count as the three that a tick may take; the rest is reported."""
    awake = AwakeTime(clock, 1.0)
    clock.advance(70.0)
    assert awake.now() == pytest.approx(3.0)
    assert awake.tick() == pytest.approx(67.0)
    clock.advance(1.0)
    assert awake.now() == pytest.approx(4.0)


def test_a_jump_of_the_wall_clock_is_not_noticed(clock: FakeClock) -> None:
    """Only the monotonic clock counts."""
    awake = AwakeTime(clock, 1.0)
    clock.set_wall(clock.now().replace(year=2030))
    assert (awake.tick(), awake.now()) == (0.0, 0.0)
