"""What is remembered of callers stays bounded, whoever calls."""

import pytest

from devteam.mesh.access.buckets import Allowance
from devteam.mesh.access.notices import Notices
from devteam.mesh.access.penalties import Penalties
from devteam.mesh.access.rates import Rates
from devteam.mesh.access.recent import MOST, Recent
from devteam.mesh.access.rules import Rate
from devteam.mesh.errors import ResourceExhausted
from tests.fakes.clock import FakeClock


def test_whoever_was_asked_for_longest_ago_is_forgotten_first() -> None:
    kept: Recent[str, list[str]] = Recent(list, most=2)
    for name in ("a", "b", "a", "c"):
        kept.of(name).append(name)
    assert (kept.of("a"), kept.of("c"), kept.of("b")) == (["a", "a"], ["c"], [])
    assert len(kept) == 2


def test_addresses_without_number_take_no_more_room(clock: FakeClock) -> None:
    penalties, rates = Penalties(clock), Rates(clock, {Rate.READ: Allowance(1, 1)})
    for number in range(2 * MOST):
        penalties.failed(f"address {number}")
        rates.charge(f"address {number}", Rate.READ)
    assert len(penalties._tries) == len(rates._buckets) == MOST


def test_a_penalty_is_not_forgotten_for_those_who_come_once(clock: FakeClock) -> None:
    """Whoever goes on trying stays in mind."""
    penalties = Penalties(clock, most=10)
    for _ in range(5):
        penalties.failed("guesser")
    for number in range(9):
        penalties.failed(f"address {number}")
    with pytest.raises(ResourceExhausted):
        penalties.failed("guesser")


def test_beyond_what_can_be_remembered_nothing_more_is_said_for_a_minute(clock: FakeClock) -> None:
    notices = Notices(clock, most=3)
    assert [notices.first(f"address {number}", "WHY") for number in range(5)] == [True] * 3 + [False] * 2
    clock.advance(60)
    assert notices.first("address 9", "WHY")
    assert not notices.first("address 9", "WHY")
    assert notices.first("address 9", "ANOTHER")
