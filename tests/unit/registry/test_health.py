import pytest
from devteam_registry.domain import Health, HealthPolicy, WorkerState
from devteam_registry.health import health_of
from hypothesis import given
from hypothesis import strategies as st

POLICY = HealthPolicy()
SEVERITY = (WorkerState.HEALTHY, WorkerState.UNHEALTHY, WorkerState.LOST)


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        (0, Health(WorkerState.HEALTHY, "last beat 0.0 s ago", WorkerState.UNHEALTHY, 60)),
        (59, Health(WorkerState.HEALTHY, "last beat 59 s ago", WorkerState.UNHEALTHY, 1)),
        (60, Health(WorkerState.UNHEALTHY, "no beat for 60 s", WorkerState.LOST, 60)),
        (71, Health(WorkerState.UNHEALTHY, "no beat for 71 s", WorkerState.LOST, 49)),
        (119, Health(WorkerState.UNHEALTHY, "no beat for 119 s", WorkerState.LOST, 1)),
        (120, Health(WorkerState.LOST, "no beat for 120 s", None, 180)),
        (299, Health(WorkerState.LOST, "no beat for 299 s", None, 1)),
        (400, Health(WorkerState.LOST, "no beat for 400 s", None, 0)),
    ],
)
def test_silence_decides_state_reason_and_what_follows(silence: float, expected: Health) -> None:
    """State, reason, next state and the seconds until it follow from silence alone."""
    assert health_of(1000.0, 1000.0 + silence, POLICY) == expected


def test_short_policies_speak_in_tenths_of_seconds() -> None:
    """A reason says something even when all limits are under ten seconds."""
    short = HealthPolicy(heartbeat_interval=0.4, unhealthy_after=1, lost_after=2, deregister_after=5)
    assert health_of(0.0, 1.5, short).reason == "no beat for 1.5 s"


def test_a_beat_from_the_future_is_a_beat_of_now() -> None:
    """A last beat after the moment of judgement counts as no silence."""
    assert health_of(10.0, 9.0, POLICY) == health_of(10.0, 10.0, POLICY)


@given(
    last_beat=st.floats(0, 1e6),
    shorter=st.floats(0, 1000),
    longer=st.floats(0, 1000),
    limits=st.lists(st.floats(1, 500), min_size=3, max_size=3, unique=True).map(sorted),
)
def test_state_is_monotone_in_silence(last_beat: float, shorter: float, longer: float, limits: list[float]) -> None:
    """Who is silent for longer is never healthier, whatever the limits."""
    shorter, longer = sorted((shorter, longer))
    policy = HealthPolicy(min(30.0, limits[0] / 2), *limits)
    before = health_of(last_beat, last_beat + shorter, policy)
    after = health_of(last_beat, last_beat + longer, policy)
    assert SEVERITY.index(before.state) <= SEVERITY.index(after.state)
    if before.state is after.state:
        assert before.next_in is not None
        assert after.next_in is not None
        assert before.next_in >= after.next_in
