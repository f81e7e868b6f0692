"""Nobody is taken for dead while most of the fleet is silent."""

from devteam_registry.domain import PageQuery
from devteam_registry.health import WorkerState

from tests.unit.registry.fleet import Fleet


async def test_nobody_dies_while_most_of_the_fleet_is_silent(fleet: Fleet) -> None:
    """Three of four silent together: UNHEALTHY, but neither LOST nor deregistered, however long."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.pass_time(600, beating=("d",))
    reason = "no beat for 600 s; deaths are frozen: 3 of 4 workers fell silent together"
    views = {view.worker.worker_id: view for view in fleet.roster.views()}
    assert [views[name].health.state for name in "abc"] == [WorkerState.UNHEALTHY] * 3
    assert (views["a"].health.words, views["a"].next_state_at) == (reason, None)
    assert views["d"].health.state is WorkerState.HEALTHY
    assert fleet.deregistered == []
    assert [told for told in await fleet.seen() if told[1] != "healthy"] == [(name, "unhealthy") for name in "abc"]


def test_workers_that_return_end_a_freeze_and_the_others_get_time_to(fleet: Fleet) -> None:
    """Below the share deaths go on, but nobody dies in the second in which a partition heals."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.pass_time(600, beating=("d",))
    fleet.beat("a")
    fleet.pass_time(59, beating=("a", "d"))
    assert (fleet.state("b"), fleet.state("c")) == (WorkerState.UNHEALTHY, WorkerState.UNHEALTHY)
    fleet.pass_time(2, beating=("a", "d"))
    assert (fleet.state("b"), fleet.state("c")) == (WorkerState.LOST, WorkerState.LOST)
    fleet.pass_time(180, beating=("a", "d"))
    assert sorted(fleet.deregistered) == ["b", "c"]


def test_a_minority_dies_as_published(fleet: Fleet) -> None:
    """Three of ten silent together are lost at 120 s."""
    names = [f"w{number}" for number in range(10)]
    for worker_id in names:
        fleet.register(worker_id)
    fleet.pass_time(120, beating=tuple(names[3:]))
    assert [fleet.state(name) for name in names[:4]] == [WorkerState.LOST] * 3 + [WorkerState.HEALTHY]


def test_a_freeze_brings_nobody_back_and_takes_nobody_away(fleet: Fleet) -> None:
    """Who was LOST when a freeze began stays LOST, and stays on the list, until it ends."""
    for worker_id in ("a", "b", "c", "d", "e"):
        fleet.register(worker_id)
    fleet.pass_time(150, beating=("b", "c", "d", "e"))
    assert fleet.state("a") is WorkerState.LOST
    fleet.pass_time(400, beating=("b",))
    assert (fleet.state("a"), fleet.state("c")) == (WorkerState.LOST, WorkerState.UNHEALTHY)
    assert fleet.deregistered == []
    fleet.pass_time(1, beating=("b", "c", "d"))
    assert fleet.deregistered == ["a"]
    assert fleet.state("e") is WorkerState.UNHEALTHY


def test_a_frozen_fleet_is_said_on_every_page(fleet: Fleet) -> None:
    """And only while it is frozen."""
    for worker_id in ("a", "b", "c"):
        fleet.register(worker_id)
    query = PageQuery("", 1)
    assert fleet.roster.page(query).notice == ""
    fleet.pass_time(61)
    assert fleet.roster.page(query).notice == "deaths are frozen: 3 of 3 workers fell silent together"
    fleet.beat("a", "b", "c")
    fleet.pass_time(1)
    assert fleet.roster.page(query).notice == ""
