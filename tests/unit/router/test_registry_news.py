"""What becomes of a run when the Registry has news of its worker."""

import pytest
from devteam_router.domain import AttemptId, Availability, WorkerState
from devteam_router.frames import Assign, Cancel, CancelReason, Drain, DrainReason
from devteam_router.ports import WorkerRemoved

from devteam.mesh.errors import NotFound
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)
W1 = a_worker().instance


async def test_a_new_instance_means_that_the_runs_of_the_old_one_are_lost_at_once(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run("t1"))
    worker.accept("t1")
    bench.register(a_worker(instance="i2"))
    await bench.settled()
    assert planner.story[-1] == "lost with w1"
    assert bench.held == []
    worker.say("t1", 1, 1)
    assert worker.heard()[-1] == Cancel(T1, CancelReason.FENCED)


async def test_what_the_old_instance_never_accepted_goes_to_the_new_one(bench: RouterBench) -> None:
    bench.worker()
    planner = await bench.dispatch(a_run())
    new = bench.worker(a_worker(instance="i2"))
    await bench.settled()
    assert new.heard() == [Assign(a_run(), "default")]
    assert planner.story == ["assigned to w1", "waits: no_worker_available", "assigned to w1"]


async def test_a_lost_worker_loses_its_runs_although_its_line_is_open(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.heard()
    bench.register(a_worker(state=WorkerState.LOST))
    await bench.settled()
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert planner.story[-1] == "lost with w1"


@pytest.mark.parametrize("state", [WorkerState.SUSPECT, WorkerState.UNHEALTHY])
async def test_a_worker_in_doubt_keeps_what_it_runs(bench: RouterBench, state: WorkerState) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    bench.register(a_worker(state=state))
    worker.report("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "report after 0"]


async def test_a_removed_worker_loses_its_runs_and_its_line(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    bench.core.hear(WorkerRemoved("w1"))
    await bench.settled()
    assert planner.story[-1] == "lost with w1"
    assert isinstance(worker.closed_with, NotFound)
    assert worker.closed_with.reason == "WORKER_NOT_REGISTERED"


async def test_a_draining_worker_is_told_and_finishes_what_it_has(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.heard()
    bench.register(a_worker(availability=Availability.DRAINING))
    assert worker.heard() == [Drain(DrainReason.WORKER)]
    worker.report("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "report after 0"]


async def test_a_draining_worker_is_told_the_rest_of_its_time_also_when_it_comes_back(bench: RouterBench) -> None:
    worker = bench.worker()
    worker.heard()
    bench.register(a_worker(availability=Availability.DRAINING, drain_within=90.0))
    assert worker.heard() == [Drain(DrainReason.WORKER, 90.0)]
    worker.hang_up()
    for rest in (60.0, 30.0, 0.0, 0.0):
        await bench.advance(30)
        assert bench.attach(W1).heard() == [Drain(DrainReason.WORKER, rest)]


async def test_a_drain_that_was_taken_back_is_not_repeated(bench: RouterBench) -> None:
    bench.worker(a_worker(availability=Availability.DRAINING))
    bench.register(a_worker())
    assert bench.attach(W1).heard() == []
