"""How much there is, and when more comes."""

import pytest

from devteam.mesh.access.buckets import Allowance, Bucket
from tests.fakes.clock import FakeClock

TWO_A_SECOND = Allowance(2, 4)


def test_a_bucket_is_full_at_first_and_never_fuller(clock: FakeClock) -> None:
    bucket = Bucket(clock)
    assert [bucket.take(TWO_A_SECOND) == 0 for _ in range(5)] == [True] * 4 + [False]
    clock.advance(3_600)
    assert [bucket.take(TWO_A_SECOND) == 0 for _ in range(5)] == [True] * 4 + [False]


def test_whoever_comes_back_when_told_to_finds_something(clock: FakeClock) -> None:
    """All of a crowd, each at its own time."""
    bucket, allowance = Bucket(clock), Allowance(10, 1)
    bucket.take(allowance)
    waits = sorted(bucket.take(allowance) for _ in range(20))
    passed = 0.0
    for wait in waits:
        clock.advance(wait - passed)
        passed = wait
        assert bucket.take(allowance) == 0


def test_nobody_is_sent_away_for_longer_than_half_a_minute(clock: FakeClock) -> None:
    """Unless the next one comes later than that."""
    bucket, allowance = Bucket(clock), Allowance(10, 1)
    assert max(bucket.take(allowance) for _ in range(10_000)) == pytest.approx(30, abs=0.01)
    rare = Bucket(clock)
    rare.take(Allowance(0.01, 1))
    assert rare.take(Allowance(0.01, 1)) == pytest.approx(100, abs=0.01)


def test_what_is_owed_has_to_come_in_first(clock: FakeClock) -> None:
    bucket = Bucket(clock)
    assert [bucket.owe(3, TWO_A_SECOND) for _ in range(3)] == [0, 1, 2.5]
    clock.advance(2.5)
    assert bucket.owe(1, TWO_A_SECOND) == 0.5


def test_without_a_rate_there_is_any_amount(clock: FakeClock) -> None:
    bucket = Bucket(clock)
    assert [bucket.take(Allowance(0, 1)) + bucket.owe(10**9, Allowance(0, 1)) for _ in range(3)] == [0, 0, 0]


def test_at_another_rate_the_burst_is_another_one_too() -> None:
    assert TWO_A_SECOND.at_rate(10) == Allowance(10, 20)
    assert TWO_A_SECOND.at_rate(0.1) == Allowance(0.1, 1)
    assert TWO_A_SECOND.at_rate(0) == TWO_A_SECOND
    assert Allowance(0, 1).at_rate(5) == Allowance(0, 1)
