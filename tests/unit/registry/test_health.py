import pytest
from devteam_registry.health import Health, HealthPolicy, WorkerState, health_of
from devteam_registry.links import Link
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
        (120, Health(WorkerState.LOST, "no beat for 120 s", None, 180, "deregistered in 180 s")),
        (299, Health(WorkerState.LOST, "no beat for 299 s", None, 1, "deregistered in 1 s")),
        (400, Health(WorkerState.LOST, "no beat for 400 s", None, 0, "deregistered in 0 s")),
    ],
)
def test_silence_decides_state_reason_and_what_follows(silence: float, expected: Health) -> None:
    """State, reason, next state and the seconds until it follow from silence alone."""
    assert health_of(1000.0, 1000.0 + silence, POLICY) == expected


@pytest.mark.parametrize(
    ("silence", "tasks", "words"),
    [
        (71, 3, "no beat for 71 s; 3 tasks move in 49 s"),
        (71, 1, "no beat for 71 s; 1 task moves in 49 s"),
        (71, 0, "no beat for 71 s"),
        (71.4, 2, "no beat for 71 s; 2 tasks move in 49 s"),
        (130, 3, "no beat for 130 s; its tasks were moved; deregistered in 170 s"),
        (130, 1, "no beat for 130 s; its task was moved; deregistered in 170 s"),
        (130, 0, "no beat for 130 s; deregistered in 170 s"),
    ],
)
def test_a_silent_workers_reason_says_what_becomes_of_its_tasks(silence: float, tasks: int, words: str) -> None:
    """How many move and when, by its last beat; nothing about tasks where there are none."""
    assert health_of(0.1, 0.1 + silence, POLICY, active_tasks=tasks).words == words


@pytest.mark.parametrize(
    ("age", "running", "given_up_after", "words"),
    [
        (3, 3, 10, "its stream to router-1 broke 3 s ago; 3 tasks are given up in 7 s unless it comes back"),
        (3.6, 1, 10, "its stream to router-1 broke 3 s ago; 1 task is given up in 7 s unless it comes back"),
        (3, 0, 10, "its stream to router-1 broke 3 s ago"),
        (10, 3, 10, "no stream to a router for 10 s; it still beats"),
        (45, 0, None, "no stream to a router for 45 s; it still beats"),
        (-1, 3, 10, "its stream to router-1 broke 0 s ago; 3 tasks are given up in 10 s unless it comes back"),
    ],
)
def test_a_worker_that_beats_without_a_stream_is_suspect(
    age: float, running: int, given_up_after: float | None, words: str
) -> None:
    """With what it ran and when that is given up; what follows is decided by beats as ever."""
    given_up_at = None if given_up_after is None else 500.0 + given_up_after
    link = Link("router-1", connected=False, running=running, since=500.0, given_up_at=given_up_at)
    health = health_of(480.0 + age, 500.0 + age, POLICY, active_tasks=3, link=link)
    assert (health.state, health.words) == (WorkerState.SUSPECT, words)
    assert (health.next_state, health.next_in) == (WorkerState.UNHEALTHY, 40)


@pytest.mark.parametrize(("silence", "state"), [(60, WorkerState.UNHEALTHY), (120, WorkerState.LOST)])
def test_silence_weighs_more_than_a_broken_link(silence: float, state: WorkerState) -> None:
    """Who does not beat is not suspected any longer."""
    link = Link("router-1", connected=False, running=3, since=silence, given_up_at=silence + 10)
    assert health_of(0.0, silence, POLICY, active_tasks=3, link=link) == health_of(0.0, silence, POLICY, active_tasks=3)
    assert health_of(0.0, silence, POLICY, link=link).state is state


def test_an_open_link_changes_nothing() -> None:
    """Nor does one that nothing is known of."""
    link = Link("router-1", connected=True, running=3, since=0.0)
    assert health_of(0.0, 20.0, POLICY, link=link) == health_of(0.0, 20.0, POLICY)


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
