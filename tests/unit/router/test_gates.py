"""What keeps runs waiting though a worker is free: impatient providers, and limits."""

from datetime import timedelta

import pytest
from devteam_router.domain import WaitReason
from devteam_router.gates import Gates
from devteam_router.routing import ModelLimit, Policy, Routing, Wishes

from tests.fakes.clock import FakeClock


class Gatehouse:
    """Gates, and what operators wish of them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.routing = Routing(Policy())
        self.gates = Gates(self.routing, clock)

    def limit(self, model: str, starts_per_minute: float, queue: str = "") -> None:
        limits = (*self.routing.wishes.limits, ModelLimit(model, queue, starts_per_minute))
        self.routing.wish(Wishes(limits=limits))
        self.gates.changed()

    def starts(self, model: str = "haiku", queue: str = "default") -> int:
        """How many may start at this moment; they do."""
        count = 0
        while not self.gates.model(model) and not self.gates.queue(queue, model):
            self.gates.passed(queue, model)
            count += 1
            assert count < 10_000
        return count

    def starts_within(self, seconds: int, model: str = "haiku", queue: str = "default") -> int:
        """How many start if somebody tries ten times a second."""
        count = 0
        for _ in range(10 * seconds):
            count += self.starts(model, queue)
            self.clock.advance(0.1)
        return count


@pytest.fixture
def house(clock: FakeClock) -> Gatehouse:
    return Gatehouse(clock)


class TestThrottles:
    def test_nothing_of_the_model_starts_until_the_provider_is_patient_again(self, house: Gatehouse) -> None:
        assert house.gates.throttle("opus", 30, "anthropic said 429")
        closed = house.gates.model("opus")
        assert closed is not None
        assert (closed.wait.reason, closed.everywhere) == (WaitReason.PROVIDER_THROTTLED, True)
        assert closed.wait.detail == "nothing of opus starts anywhere for now: anthropic said 429"
        assert closed.wait.until == house.clock.now() + timedelta(seconds=30)
        assert house.gates.model("haiku") is None
        house.clock.advance(30)
        assert house.gates.model("opus") is None

    def test_the_longest_that_was_asked_for_holds(self, house: Gatehouse) -> None:
        assert house.gates.throttle("opus", 30, "first")
        assert not house.gates.throttle("opus", 10, "shorter")
        assert house.gates.throttle("opus", 60, "longer")
        assert [
            (throttle.until - house.clock.monotonic(), throttle.reason) for throttle in house.gates.throttles()
        ] == [(60, "longer")]

    def test_those_that_are_over_are_forgotten(self, house: Gatehouse) -> None:
        for n in range(100):
            house.gates.throttle(f"m{n}", 1 + n, "429")
        house.clock.advance(50)
        assert len(house.gates.throttles()) == 50
        house.clock.advance(50)
        assert house.gates.throttles() == []
        assert house.gates._throttles == {}


class TestLimits:
    def test_so_many_start_in_a_minute_and_no_more_than_a_seconds_worth_more(self, house: Gatehouse) -> None:
        house.limit("haiku", 120)
        assert 120 <= house.starts_within(60) <= 122

    @pytest.mark.parametrize(("per_minute", "at_once"), [(6, 1), (60, 1), (120, 2), (600, 10)])
    def test_a_seconds_worth_may_start_at_once_and_at_least_one(
        self, house: Gatehouse, per_minute: float, at_once: int
    ) -> None:
        house.limit("haiku", per_minute)
        assert house.starts() == at_once

    def test_what_was_not_used_is_not_saved_up(self, house: Gatehouse) -> None:
        house.limit("haiku", 120)
        house.starts()
        house.clock.advance(600)
        assert house.starts() == 2

    def test_it_says_when_the_next_may_start(self, house: Gatehouse) -> None:
        house.limit("haiku", 6)
        house.starts()
        closed = house.gates.model("haiku")
        assert closed is not None
        assert (closed.wait.reason, closed.everywhere) == (WaitReason.RATE_LIMITED, True)
        assert closed.wait.detail == "no more than 6 runs of haiku may start a minute over the whole fleet"
        assert closed.wait.until == house.clock.now() + timedelta(seconds=10)

    def test_a_limit_of_a_queue_leaves_the_other_queues_alone(self, house: Gatehouse) -> None:
        house.limit("haiku", 60, queue="slow")
        assert house.starts(queue="slow") == 1
        closed = house.gates.queue("slow", "haiku")
        assert closed is not None
        assert closed.wait.detail == "no more than 60 runs of haiku may start a minute in slow"
        assert not closed.everywhere
        assert house.gates.model("haiku") is None
        assert house.gates.queue("fast", "haiku") is None

    def test_models_that_match_one_pattern_share_the_limit(self, house: Gatehouse) -> None:
        house.limit("ollama:*", 120)
        house.gates.passed("default", "ollama:phi")
        house.gates.passed("default", "ollama:qwen")
        assert house.gates.model("ollama:llama") is not None
        assert house.gates.model("haiku") is None

    def test_a_run_waits_for_all_limits_that_match(self, house: Gatehouse) -> None:
        house.limit("*", 600)
        house.limit("opus", 120)
        house.limit("opus", 60, queue="default")
        assert house.starts("opus") == 1
        assert house.starts("opus", "other") == 1
        assert house.starts("haiku") == 8

    def test_several_routers_share_each_limit(self, house: Gatehouse) -> None:
        house.limit("haiku", 120)
        house.gates.routers = 3
        assert 40 <= house.starts_within(60) <= 42

    def test_a_limit_that_was_taken_back_holds_nothing_back_any_longer(self, house: Gatehouse) -> None:
        house.limit("haiku", 0.1)
        house.starts()
        house.routing.wish(Wishes())
        house.gates.changed()
        assert house.gates.model("haiku") is None
        assert house.gates._due == {}
