"""What becomes of a worker that no longer beats."""

from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes
from devteam_registry.domain import Beat
from devteam_registry.health import HealthPolicy, WorkerState
from devteam_registry.roster import Roster

from devteam.mesh.errors import NotFound
from tests.fakes.clock import FakeClock
from tests.unit.registry.fleet import Fleet
from tests.unit.registry.samples import NOON, worker


async def test_a_silent_worker_goes_through_all_states_and_leaves(fleet: Fleet) -> None:
    """UNHEALTHY at 60 s, LOST at 120, gone at 300; watchers are told each once."""
    fleet.register("w1")
    fleet.pass_time(59)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.pass_time(1)
    assert fleet.state("w1") is WorkerState.UNHEALTHY
    fleet.pass_time(60)
    assert fleet.state("w1") is WorkerState.LOST
    fleet.pass_time(179)
    assert fleet.deregistered == []
    fleet.pass_time(1)
    assert fleet.deregistered == ["w1"]
    with pytest.raises(NotFound):
        fleet.roster.get("w1")
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "unhealthy"), ("w1", "lost"), ("w1", "no beat for 300 s")]


async def test_a_beat_makes_a_lost_worker_healthy_again(fleet: Fleet) -> None:
    """The same instance may come back until it is deregistered."""
    fleet.register("w1")
    fleet.pass_time(130)
    fleet.beat("w1")
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "unhealthy"), ("w1", "lost"), ("w1", "healthy")]


def test_a_view_says_what_comes_next_and_when(fleet: Fleet) -> None:
    """The moment of the next state is exact, whenever one asks."""
    fleet.register("w1")
    fleet.pass_time(71)
    fleet.clock.advance(0.5)
    view = fleet.roster.get("w1")
    assert view.health.reason == "no beat for 71 s"
    assert (view.health.next_state, view.next_state_at) == (WorkerState.LOST, NOON + timedelta(seconds=120))
    assert view.uptime == pytest.approx(71.5)
    fleet.beat("w1")
    view = fleet.roster.get("w1")
    assert (view.health.next_state, view.next_state_at) == (WorkerState.UNHEALTHY, NOON + timedelta(seconds=131.5))


def test_a_jump_of_the_wall_clock_kills_nobody(fleet: Fleet) -> None:
    """Liveness is monotonic; uptime, which is for display, never turns negative."""
    fleet.register("w1")
    fleet.clock.set_wall(NOON - timedelta(days=400))
    fleet.pass_time(1)
    assert (fleet.state("w1"), fleet.roster.get("w1").uptime) == (WorkerState.HEALTHY, 0.0)


def test_a_stall_of_the_registry_kills_nobody(fleet: Fleet) -> None:
    """70 s in which the loop stood still are not silence, even before the sweeper has noticed."""
    fleet.register("w1")
    fleet.pass_time(20)
    fleet.clock.advance(70)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.deregistered += fleet.roster.sweep()
    fleet.pass_time(35)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.pass_time(10)
    assert fleet.state("w1") is WorkerState.UNHEALTHY


def test_remembered_workers_begin_with_a_fresh_grace(clock: FakeClock) -> None:
    """After a restart everyone is healthy, under the same session; the departed stay away."""
    roster = Roster(HealthPolicy(), clock, AwakeTime(clock, 1.0), Changes())
    roster.load(
        [replace(worker("w1"), last_heartbeat_at=NOON - timedelta(days=1)), replace(worker("w2"), departed=True)]
    )
    assert [view.worker.worker_id for view in roster.views()] == ["w1"]
    assert roster.get("w1").health.state is WorkerState.HEALTHY
    assert roster.beat(Beat("w1", "i1", "token")).state is WorkerState.HEALTHY


def test_a_removed_worker_is_said_to_have_been_silent_and_no_more(fleet: Fleet) -> None:
    """Nothing is pending for who is gone."""
    fleet.register("w1")
    fleet.roster.beat(Beat("w1", "i1", "token", active_tasks=2))
    fleet.pass_time(130)
    assert fleet.words("w1") == "no beat for 130 s; its tasks were moved; deregistered in 170 s"
