"""What the streams of one worker to several Routers mean for its health."""

from devteam_registry.health import WorkerState

from tests.unit.registry.fleet import Fleet, down, up


def connected(fleet: Fleet, *routers: str) -> None:
    fleet.register("w1")
    for router in routers:
        fleet.report(up("w1"), router=router)


async def test_a_worker_is_suspect_only_when_no_router_holds_a_stream_to_it(fleet: Fleet) -> None:
    """Whichever comes back makes it healthy again."""
    connected(fleet, "router-1", "router-2")
    fleet.report(down("w1", running=1, given_up_in=10.0), router="router-1")
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.report(down("w1", running=1, given_up_in=10.0), router="router-2")
    assert fleet.state("w1") is WorkerState.SUSPECT
    fleet.report(up("w1"), router="router-1")
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "suspect"), ("w1", "healthy")]


def test_a_view_names_the_least_of_the_routers_that_hold_a_stream(fleet: Fleet) -> None:
    """Not the one that spoke last."""
    connected(fleet, "router-2", "router-3", "router-1")
    named = [fleet.roster.get("w1").router_id]
    for router in ("router-3", "router-1", "router-2"):
        fleet.report(down("w1", given_up_in=10.0), router=router)
        named.append(fleet.roster.get("w1").router_id)
    assert named == ["router-1", "router-1", "router-2", ""]


def test_a_suspicion_counts_the_runs_of_all_routers_down_to_the_last(fleet: Fleet) -> None:
    """From when the last stream broke; runs that one of them has given up already are not counted."""
    connected(fleet, "router-1", "router-2")
    fleet.report(down("w1", running=3, given_up_in=10.0), router="router-1")
    fleet.pass_time(4)
    fleet.report(down("w1", running=2, given_up_in=10.0), router="router-2")
    fleet.pass_time(1)
    assert fleet.words("w1") == (
        "its stream to router-2 broke 1 s ago; 5 tasks are given up in 9 s unless it comes back"
    )
    fleet.pass_time(5)
    fleet.report(down("w1"), router="router-1")
    assert fleet.words("w1") == (
        "its stream to router-2 broke 6 s ago; 2 tasks are given up in 4 s unless it comes back"
    )
    fleet.pass_time(4)
    fleet.report(down("w1"), router="router-2")
    assert fleet.words("w1") == "no stream to a router for 10 s; it still beats"


def test_a_complete_report_says_nothing_of_other_routers_streams(fleet: Fleet) -> None:
    """Of its own, it ends those that it does not name."""
    connected(fleet, "router-1", "router-2")
    fleet.report(complete=True, router="router-1")
    assert (fleet.state("w1"), fleet.roster.get("w1").router_id) == (WorkerState.HEALTHY, "router-2")
    fleet.report(complete=True, router="router-2")
    assert fleet.state("w1") is WorkerState.SUSPECT


def test_a_router_that_is_gone_loses_its_links(fleet: Fleet) -> None:
    """A worker that had no other stream is suspect, without a countdown: nobody is there to give anything up."""
    connected(fleet, "router-1", "router-2")
    fleet.roster.forget_router("router-1")
    assert (fleet.state("w1"), fleet.roster.get("w1").router_id) == (WorkerState.HEALTHY, "router-2")
    fleet.report(down("w1", running=2, given_up_in=600.0), router="router-2")
    fleet.pass_time(3)
    fleet.roster.forget_router("router-2")
    assert fleet.words("w1") == "no stream to a router for 3 s; it still beats"


def test_routers_that_are_gone_leave_nothing_behind_that_grows(fleet: Fleet) -> None:
    """Each process of a Router has an id of its own."""
    fleet.register("w1")
    for number in range(50):
        fleet.report(up("w1"), router=f"router-{number}")
        fleet.roster.forget_router(f"router-{number}")
    assert len(fleet.roster._entries["w1"].links) == 1


def test_a_router_that_never_knew_a_worker_takes_nothing_from_it_when_it_goes(fleet: Fleet) -> None:
    fleet.register("w1")
    fleet.roster.forget_router("router-1")
    assert fleet.state("w1") is WorkerState.HEALTHY


def test_a_registration_of_the_same_instance_keeps_all_open_streams(fleet: Fleet) -> None:
    """And forgets the broken ones; a new instance has none."""
    connected(fleet, "router-1", "router-2", "router-3")
    fleet.report(down("w1", given_up_in=10.0), router="router-1")
    fleet.register("w1")
    assert sorted(fleet.roster._entries["w1"].links) == ["router-2", "router-3"]
    fleet.register("w1", "i2")
    assert fleet.roster._entries["w1"].links == {}
