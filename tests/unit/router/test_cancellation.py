"""A run that somebody cancels, wherever it is at that moment."""

from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, Cancel, CancelReason

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)


async def test_a_waiting_run_ends_at_once(bench: RouterBench) -> None:
    planner = await bench.dispatch(a_run())
    bench.cancel("t1")
    await bench.settled()
    assert planner.story == ["waits: no_worker_in_queue", "cancelled"]
    assert len(bench.core.attempts) == len(bench.core.lines) == 0


async def test_a_running_one_ends_with_its_workers_report(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.heard()
    bench.cancel("t1")
    assert worker.heard() == [Cancel(T1, CancelReason.REQUESTED)]
    assert not planner.over
    worker.report("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "stop told to w1", "report after 0"]


async def test_its_slot_is_free_only_when_its_worker_says_that_it_has_stopped(bench: RouterBench) -> None:
    """Told as often as anybody likes."""
    worker = bench.worker(a_worker(queues={"default": 1}))
    await bench.dispatch(a_run("t1"))
    worker.accept("t1")
    await bench.dispatch(a_run("t2"))
    worker.heard()
    for _ in range(2):
        bench.cancel("t1")
        await bench.advance(60)
    assert worker.heard() == [Cancel(T1, CancelReason.REQUESTED)] * 2
    assert bench.held == ["t1/1 on w1"]
    worker.report("t1")
    assert worker.heard() == [Assign(a_run("t2"), "default")]


async def test_one_that_its_worker_rejects_is_not_taken_elsewhere(bench: RouterBench) -> None:
    worker = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run())
    other = bench.worker(a_worker("w2"))
    bench.cancel("t1")
    worker.reject("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "stop told to w1", "cancelled"]
    assert other.heard() == []
    assert bench.held == []


async def test_cancelling_what_is_over_or_unknown_is_harmless(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.report("t1")
    worker.heard()
    bench.cancel("t1")
    bench.cancel("t2")
    await bench.settled()
    assert worker.heard() == []
    assert planner.story == ["assigned to w1", "started", "report after 0"]
