"""Tenants that compete for a queue."""

import pytest
from devteam_router.shares import Fairness, Shares


def of_equals() -> Shares:
    return Shares(lambda _: 1.0)


class TestShares:
    def test_a_newcomer_begins_where_the_queue_is(self) -> None:
        shares = of_equals()
        shares.enter("old")
        for _ in range(100):
            shares.serve("old")
        shares.enter("new")
        assert (shares.had("old"), shares.had("new")) == (100, 99)

    def test_whoever_was_away_is_owed_nothing(self) -> None:
        shares = of_equals()
        shares.enter("away")
        shares.serve("away")
        shares.leave("away")
        shares.enter("here")
        for _ in range(50):
            shares.serve("here")
        shares.enter("away")
        assert shares.had("away") == 49

    def test_whoever_leaves_and_comes_back_at_once_is_where_it_was(self) -> None:
        shares = of_equals()
        shares.enter("restless")
        shares.enter("patient")
        shares.serve("restless")
        shares.leave("restless")
        shares.enter("restless")
        assert (shares.had("restless"), shares.had("patient")) == (1, 0)

    def test_a_run_counts_less_the_more_a_tenant_weighs(self) -> None:
        shares = Shares({"heavy": 4.0, "light": 0.5}.__getitem__)
        for tenant in ("heavy", "light"):
            shares.enter(tenant)
            shares.serve(tenant)
        assert (shares.had("heavy"), shares.had("light")) == (0.25, 2.0)

    def test_it_remembers_no_more_than_those_who_wait_and_a_thousand(self) -> None:
        shares = of_equals()
        for n in range(5_000):
            shares.enter(f"t{n}")
            shares.serve(f"t{n}")
            shares.leave(f"t{n}")
        assert len(shares._had) <= 1_001
        assert shares.competing == 0


class TestFairness:
    def test_each_queue_has_shares_of_its_own(self) -> None:
        fairness = Fairness(lambda queue, _: {"a": 1.0, "b": 2.0}[queue])
        for queue in "ab":
            fairness.of(queue).enter("t")
            fairness.of(queue).serve("t")
        assert [fairness.of(queue).had("t") for queue in "ab"] == [1.0, 0.5]

    def test_what_was_placed_without_waiting_counts_no_more_than_once(self) -> None:
        """Nobody else wanted it: so it is not held against a tenant that there were many."""
        fairness = Fairness()
        for _ in range(100):
            fairness.direct("q", "busy")
        fairness.of("q").enter("idle")
        assert fairness.of("q").had("busy") - fairness.of("q").had("idle") == pytest.approx(1)

    def test_queues_that_nobody_waits_in_are_forgotten_in_the_end(self) -> None:
        fairness = Fairness()
        fairness.of("kept").enter("t")
        for n in range(5_000):
            fairness.direct(f"q{n}", "t")
        assert len(fairness._queues) <= 1_001
        assert fairness.of("kept").competing == 1

    def test_many_queues_that_are_waited_in_are_not_gone_through_for_each_new_one(self) -> None:
        fairness = Fairness()
        tables = [fairness._queues]
        for n in range(5_000):
            fairness.of(f"q{n}").enter("t")
            if fairness._queues is not tables[-1]:
                tables.append(fairness._queues)
        assert len(tables) < 5
        assert len(fairness._queues) == 5_000
