"""What the Registry says, as the Router takes it in."""

from devteam_router.frames import Assign, Slots
from devteam_router.ports import FleetSnapshot, WorkerChanged, WorkerRemoved
from devteam_router.service import RouterCore

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker


def known(core: RouterCore) -> list[str]:
    return sorted(worker.id for worker in core.fleet)


async def test_a_snapshot_in_parts_drops_whoever_is_in_none_of_them(bench: RouterBench) -> None:
    bench.register(a_worker("gone"))
    bench.core.hear(FleetSnapshot((a_worker("w1"),), complete=False, first=True))
    assert known(bench.core) == ["gone", "w1"]
    bench.core.hear(FleetSnapshot((a_worker("w2"),), complete=True))
    assert known(bench.core) == ["w1", "w2"]


async def test_a_snapshot_that_broke_off_counts_for_nothing_in_the_next(bench: RouterBench) -> None:
    bench.core.hear(FleetSnapshot((a_worker("w1"),), complete=False, first=True))
    bench.core.hear(FleetSnapshot((a_worker("w2"),), complete=True, first=True))
    assert known(bench.core) == ["w2"]


async def test_changes_add_replace_and_remove(bench: RouterBench) -> None:
    bench.core.hear(WorkerChanged(a_worker("w1")))
    bench.core.hear(WorkerChanged(a_worker("w1", instance="i2")))
    worker = bench.core.fleet.get("w1")
    assert worker is not None
    assert worker.instance.instance_id == "i2"
    bench.core.hear(WorkerRemoved("w1"))
    bench.core.hear(WorkerRemoved("w1"))
    assert known(bench.core) == []


async def test_a_worker_hears_of_more_or_fewer_slots_before_anything_is_given_to_it(bench: RouterBench) -> None:
    worker = bench.worker(a_worker(queues={"default": 1}))
    for n in range(3):
        await bench.dispatch(a_run(f"t{n}"))
    worker.heard()
    bench.register(a_worker(queues={"default": 2}))
    assert worker.heard() == [Slots(2), Assign(a_run("t1"), "default")]
    bench.register(a_worker(queues={"default": 2}, weight=2.0))
    assert worker.heard() == []
