"""Where there are other Routers, a run that nobody follows here may be with one of them."""

import pytest
from devteam_router.domain import WorkerInstance
from devteam_router.frames import Assign, Cancel, CancelReason, Resume
from devteam_router.ports import RoutersChanged

from tests.fakes.router_bench import RouterBench, WorkerEnd, in_hand
from tests.fakes.router_samples import a_run, a_worker

W9 = WorkerInstance("w9", "i1")


@pytest.fixture(autouse=True)
def another_router(bench: RouterBench) -> None:
    bench.core.hear(RoutersChanged({"router-1": "a:1", "router-2": "b:1"}))


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


async def test_it_is_not_placed_until_somebody_asks_for_it(bench: RouterBench) -> None:
    planner = await bench.dispatch(a_run())
    await planner.leave()
    worker = bench.worker()
    assert assigned(worker) == []
    await bench.dispatch(a_run())
    assert assigned(worker) == ["t1"]


async def test_nor_is_it_when_its_worker_refuses_it(bench: RouterBench) -> None:
    first = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run())
    await planner.leave()
    second = bench.worker(a_worker("w2"))
    first.reject("t1")
    assert assigned(second) == []
    again = await bench.dispatch(a_run())
    assert assigned(second) == ["t1"]
    assert again.story == ["assigned to w2"]


async def test_its_time_ends_all_the_same(bench: RouterBench) -> None:
    """Also when nobody is there to hear of it."""
    planner = await bench.dispatch(a_run(schedule_within=10))
    await bench.advance(5)
    await planner.leave()
    await bench.advance(10)
    worker = bench.worker()
    again = await bench.dispatch(a_run(schedule_within=-5))
    assert again.story[-1] == "out of time"
    assert assigned(worker) == []


async def test_what_waits_here_gives_way_to_what_has_begun_elsewhere(bench: RouterBench) -> None:
    """Else the words of two generations would be put together."""
    planner = await bench.dispatch(a_run())
    await planner.leave()
    here = bench.worker(a_worker("w1"))
    again = await bench.dispatch(a_run(), last_seq=5, assigned=W9)
    assert assigned(here) == []
    there = bench.worker(a_worker("w9"), in_hand("t1"))
    assert there.heard() == [Resume(a_run().id, 5)]
    await bench.settled()
    assert again.story == ["waits: worker_reconnecting", "adopted on w9", "started"]


async def test_and_so_does_what_runs_here(bench: RouterBench) -> None:
    here = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run())
    await planner.leave()
    here.accept("t1")
    here.say("t1", 1, 8)
    here.heard()
    again = await bench.dispatch(a_run(), last_seq=5, assigned=W9)
    assert here.heard() == [Cancel(a_run().id, CancelReason.FENCED)]
    assert again.story == ["waits: worker_reconnecting"]
