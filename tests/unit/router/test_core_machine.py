"""Any order of events: slots are never overbooked, never leak, and nothing waits that could run."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.router_machine import RouterMachine

EXAMPLES = 2_000
STEPS = 24
# With -m slow.
NIGHTLY_EXAMPLES = 100_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A failure shows its own game, and not the log of two thousand others."""
    known = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**known)


def play(examples: int) -> None:
    """Play so many games. A failure prints a blob: put @reproduce_failure over RouterMachine to see it again."""
    rules = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # a game of that many steps on a machine that others load
    )
    before = RouterMachine.played
    run_state_machine_as_test(RouterMachine, settings=rules)
    assert RouterMachine.played - before >= examples


@pytest.mark.timeout(600)
def test_any_order_of_events_keeps_every_promise() -> None:
    assert EXAMPLES >= 2_000
    play(EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_any_order_of_events_keeps_every_promise_all_night() -> None:
    assert NIGHTLY_EXAMPLES >= 100_000
    play(NIGHTLY_EXAMPLES)
