import pytest
from devteam_registry.freeze import Freeze, freeze_of, held
from devteam_registry.health import Health, HealthPolicy, WorkerState, health_of
from devteam_registry.links import Link
from hypothesis import given
from hypothesis import strategies as st

POLICY = HealthPolicy()


@pytest.mark.parametrize(
    ("silences", "fleet", "expected"),
    [
        ([], 0, None),
        ([70.0], 1, None),
        ([70.0, 70.0], 2, None),
        ([70.0], 3, None),
        ([70.0, 75.0], 3, Freeze(2, 3)),
        ([70.0, 80.0, 90.0], 4, Freeze(3, 4)),
        ([70.0, 80.0], 4, None),
        ([65.0] * 11, 20, Freeze(11, 20)),
        ([65.0] * 10, 19, None),
        ([61.0, 121.0], 3, Freeze(2, 3)),
        ([61.0, 121.5], 3, None),
    ],
)
def test_a_share_of_the_fleet_within_one_window_freezes_deaths(
    silences: list[float], fleet: int, expected: Freeze | None
) -> None:
    """55 of 100 workers or more, in a fleet of three or more, silent within 60 s of one another."""
    assert freeze_of(silences, fleet, POLICY) == expected


@given(silences=st.lists(st.floats(60, 1000), max_size=12), others=st.integers(0, 12), shift=st.floats(0, 1000))
def test_a_freeze_does_not_depend_on_how_long_ago_it_began(silences: list[float], others: int, shift: float) -> None:
    """While nobody returns, time alone neither begins nor ends a freeze."""
    fleet = len(silences) + others
    whole = [float(int(silence)) for silence in silences]
    later = [silence + int(shift) for silence in whole]
    assert freeze_of(whole, fleet, POLICY) == freeze_of(later, fleet, POLICY)


def test_a_silent_worker_stays_unhealthy_while_deaths_are_frozen() -> None:
    """Past every limit a worker stays UNHEALTHY, nothing is pending, and the reason says why."""
    expected = Health(WorkerState.UNHEALTHY, "no beat for 400 s", None, None, Freeze(3, 4).reason)
    health = held(health_of(0.0, 400.0, POLICY, active_tasks=3), WorkerState.UNHEALTHY, Freeze(3, 4))
    assert health == expected
    assert health.words == "no beat for 400 s; deaths are frozen: 3 of 4 workers fell silent together"


def test_a_lost_worker_stays_lost_while_deaths_are_frozen() -> None:
    """A freeze brings nobody back."""
    assert held(health_of(0.0, 200.0, POLICY), WorkerState.LOST, Freeze(3, 4)).state is WorkerState.LOST


def test_a_healthy_worker_does_not_notice_a_freeze() -> None:
    """Who beats is judged as ever."""
    health = health_of(0.0, 10.0, POLICY)
    assert held(health, WorkerState.HEALTHY, Freeze(3, 4)) == health


def test_a_suspect_worker_does_not_notice_a_freeze() -> None:
    """It beats: nothing is wrong between it and the Registry."""
    health = health_of(0.0, 10.0, POLICY, link=Link("router-1", connected=False, running=0, since=0.0))
    assert held(health, WorkerState.SUSPECT, Freeze(3, 4)) == health
