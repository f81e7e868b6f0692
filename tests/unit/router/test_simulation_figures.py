"""What is measured of a play."""

import pytest
from devteam_router.domain import StrategyName
from devteam_router.simulation.balance import balance
from devteam_router.simulation.figures import Waits, figures
from devteam_router.simulation.scenario import Change, FleetIncident

from tests.fakes.scenarios import a_burst, a_group, a_stream, played


def test_waits_are_told_by_queue_tenant_and_priority() -> None:
    found = figures(played([a_group()], [a_burst(3, tenant="acme", priority=2)]))
    waits = Waits(placed=3, p50=10.0, p95=20.0, p99=20.0, longest=20.0)
    assert found.waits == waits
    assert (found.by_queue, found.by_tenant, found.by_priority) == ({"default": waits}, {"acme": waits}, {"2": waits})
    assert found.reasons == {"all_slots_busy": 30.0}


def test_utilisation_is_busy_slot_time_over_slot_time() -> None:
    """One of two machines is busy for all of the hour, the other one for a tenth of it."""
    streams = [a_burst(work=360.0), a_burst(work=4000.0, name="long"), a_stream(1e-9)]
    found = figures(played([a_group(count=2)], streams, hours=1.0))
    assert found.utilisation == pytest.approx(0.55)
    assert found.imbalance == pytest.approx(0.45 / 0.55)
    assert found.over_time[0].utilisation == pytest.approx(1.0)
    assert found.over_time[-1].utilisation == pytest.approx(0.5)


def test_slots_of_a_machine_count_while_it_is_there() -> None:
    incidents = [FleetIncident(1800.0, Change.KILL, "box")]
    found = figures(played([a_group()], [a_burst(work=900.0), a_stream(1e-9)], incidents=incidents, hours=1.0))
    assert found.utilisation == pytest.approx(0.5)
    assert (found.over_time[0].utilisation, found.over_time[-1].utilisation) == (1.0, None)


def test_finite_work_is_held_against_the_least_time_that_it_can_take() -> None:
    """Four slots' worth of speed for 80 s of work; but one that is slow gets as much as one that is fast."""
    found = figures(played([a_group("fast", speed=3.0), a_group("slow")], [a_burst(2, work=40.0)]))
    assert found.makespan is not None
    assert (found.makespan.seconds, found.makespan.bound, found.makespan.ratio) == (40.0, 20.0, 2.0)


def test_no_task_is_shorter_than_on_the_fastest_machine() -> None:
    found = figures(played([a_group(count=4, speed=2.0)], [a_burst(work=10.0), a_burst(at=7.0, name="later")]))
    assert found.makespan is not None
    assert (found.makespan.seconds, found.makespan.bound) == (12.0, 12.0)


def test_work_that_does_not_end_has_no_makespan() -> None:
    assert figures(played([a_group()], [a_stream(60.0)], hours=1.0)).makespan is None


def test_nothing_that_can_be_placed_is_no_reason_to_fail() -> None:
    found = figures(played([a_group(count=0)], [a_burst(2)]))
    assert (found.tasks, found.placed, found.waiting, found.utilisation, found.makespan) == (2, 0, 2, 0.0, None)


@pytest.mark.parametrize("strategy", StrategyName)
def test_the_same_seed_gives_the_same_figures(strategy: StrategyName) -> None:
    groups = [a_group("small", 3, slots=2), a_group("large", 2, slots=5, speed=3.0)]
    streams = [a_stream(900.0), a_burst(50, at=100.0, priority=5)]
    first, again, other = (
        figures(played(groups, streams, strategy=strategy, hours=1.0, seed=seed)) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_least_loaded_comes_close_to_the_bound_on_unequal_machines() -> None:
    """What is left is the end: nobody knows beforehand which of the last tasks is a long one."""
    ratios, variations = [], []
    for seed in range(1, 6):
        found = balance(StrategyName.LEAST_LOADED, seed=seed)
        assert found.makespan is not None
        assert found.ended == 10_000
        ratios.append(found.makespan.ratio)
        variations.append(found.imbalance)
    assert sum(ratios) / len(ratios) <= 1.05
    assert max(variations) <= 0.02
