"""What a worker's broken stream means for its health."""

from devteam_registry.health import WorkerState

from tests.unit.registry.fleet import Fleet, down, up


async def test_a_worker_whose_stream_broke_is_suspect_at_once_until_it_is_back(fleet: Fleet) -> None:
    """Watchers are told; the reason counts down, then up."""
    fleet.register("w1")
    fleet.report(up("w1"))
    fleet.report(down("w1", running=3, given_up_in=10.0))
    assert fleet.state("w1") is WorkerState.SUSPECT
    fleet.pass_time(3)
    assert fleet.words("w1") == (
        "its stream to router-1 broke 3 s ago; 3 tasks are given up in 7 s unless it comes back"
    )
    fleet.pass_time(7)
    fleet.report(down("w1"))
    fleet.pass_time(35, beating=("w1",))
    assert fleet.words("w1") == "no stream to a router for 45 s; it still beats"
    fleet.report(up("w1"))
    assert fleet.state("w1") is WorkerState.HEALTHY
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "suspect"), ("w1", "healthy")]


def test_a_view_names_the_router_that_holds_the_stream(fleet: Fleet) -> None:
    """Nobody, before anything was said and after the stream broke."""
    fleet.register("w1")
    routers = [fleet.roster.get("w1").router_id]
    for word in (up("w1"), down("w1", given_up_in=10.0)):
        fleet.report(word)
        routers.append(fleet.roster.get("w1").router_id)
    assert routers == ["", "router-1", ""]


async def test_a_suspect_worker_that_falls_silent_goes_the_way_of_the_silent(fleet: Fleet) -> None:
    """UNHEALTHY and LOST win; a beat makes it suspect again, for its stream is still broken."""
    fleet.register("w1")
    fleet.report(down("w1", given_up_in=10.0))
    fleet.pass_time(120)
    fleet.beat("w1")
    assert [state for _, state in await fleet.seen()] == ["healthy", "suspect", "unhealthy", "lost", "suspect"]


def test_a_broken_stream_of_a_silent_worker_makes_it_no_healthier(fleet: Fleet) -> None:
    """Nor does one that is back: only a beat does."""
    fleet.register("w1")
    fleet.pass_time(70)
    for word in (down("w1", given_up_in=10.0), up("w1")):
        fleet.report(word)
        assert fleet.state("w1") is WorkerState.UNHEALTHY


def test_a_registration_clears_a_suspicion(fleet: Fleet) -> None:
    """Of the same instance or of a new one; a stream that is open stays known."""
    for instance_id in ("i1", "i2"):
        fleet.register("w1")
        fleet.report(down("w1", given_up_in=10.0))
        fleet.register("w1", instance_id)
        assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.report(up("w1", "i2"))
    fleet.register("w1", "i2")
    assert fleet.roster.get("w1").router_id == "router-1"
    fleet.register("w1", "i3")
    assert fleet.roster.get("w1").router_id == ""


async def test_words_about_unknown_workers_and_instances_mean_nothing(fleet: Fleet) -> None:
    """A report may be late."""
    fleet.register("w1", "i2")
    fleet.report(down("w1", "i1", given_up_in=10.0), down("nobody", given_up_in=10.0))
    assert fleet.state("w1") is WorkerState.HEALTHY
    assert await fleet.seen() == [("w1", "healthy")]


def test_a_complete_report_breaks_the_links_that_it_does_not_name(fleet: Fleet) -> None:
    """Those of the same Router; others, and those nobody spoke of, stay as they were."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.report(up("a"), up("b"))
    fleet.report(up("c"), router="router-2")
    fleet.report(up("a"), complete=True)
    states = {view.worker.worker_id: view.health.state.value for view in fleet.roster.views()}
    assert states == {"a": "healthy", "b": "suspect", "c": "healthy", "d": "healthy"}
    assert fleet.words("b") == "no stream to a router for 0 s; it still beats"


def test_a_worker_that_went_to_another_router_is_not_suspect(fleet: Fleet) -> None:
    """The older Router's "gone", however late, means nothing, nor does what it says of long ago."""
    fleet.register("w1")
    fleet.report(up("w1"), router="router-1")
    fleet.report(up("w1"), router="router-2")
    fleet.report(down("w1", running=3, given_up_in=10.0), router="router-1")
    assert fleet.roster.get("w1").router_id == "router-2"
    fleet.report(down("w1", running=2, given_up_in=10.0), router="router-2")
    fleet.report(down("w1"), router="router-1", complete=True)
    assert fleet.words("w1").startswith("its stream to router-2 broke 0 s ago; 2 tasks")


def test_a_stall_of_the_registry_does_not_count_towards_a_broken_link(fleet: Fleet) -> None:
    """Broken for as long as the Registry was awake to see it."""
    fleet.register("w1")
    fleet.report(down("w1", running=1, given_up_in=10.0))
    fleet.clock.advance(60)
    fleet.roster.sweep()
    assert fleet.words("w1") == "its stream to router-1 broke 3 s ago; 1 task is given up in 7 s unless it comes back"
