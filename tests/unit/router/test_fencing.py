"""An attempt that another one has superseded, and words of whoever does not have it."""

from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, Cancel, CancelReason

from devteam.mesh.errors import Aborted
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)


async def test_a_stale_attempt_is_refused(bench: RouterBench) -> None:
    bench.worker()
    await bench.dispatch(a_run(attempt=2))
    stale = await bench.dispatch(a_run(attempt=1))
    assert isinstance(stale.error, Aborted)
    assert (stale.error.reason, stale.error.metadata) == ("STALE_ATTEMPT", {"current_attempt": "2"})
    assert bench.held == ["t1/2 on w1"]


async def test_a_newer_attempt_fences_the_older_one_which_keeps_its_slot_until_it_has_stopped(
    bench: RouterBench,
) -> None:
    worker = bench.worker()
    older = await bench.dispatch(a_run(attempt=1))
    worker.accept("t1")
    worker.heard()
    newer = await bench.dispatch(a_run(attempt=2))
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED), Assign(a_run(attempt=2), "default")]
    assert isinstance(older.error, Aborted)
    assert newer.story == ["assigned to w1"]
    assert bench.held == ["t1/1 on w1", "t1/2 on w1"]
    worker.report("t1", attempt=1)
    assert bench.held == ["t1/2 on w1"]


async def test_a_newer_attempt_takes_the_older_one_out_of_the_line(bench: RouterBench) -> None:
    older = await bench.dispatch(a_run(attempt=1))
    newer = await bench.dispatch(a_run(attempt=2))
    worker = bench.worker()
    await bench.settled()
    assert worker.heard() == [Assign(a_run(attempt=2), "default")]
    assert (older.story, newer.story) == (
        ["waits: no_worker_in_queue"],
        ["waits: no_worker_in_queue", "waits: no_worker_available", "assigned to w1"],
    )


async def test_late_words_of_a_fenced_attempt_are_answered_by_cancel_and_counted(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run(attempt=1))
    worker.accept("t1")
    newer = await bench.dispatch(a_run(attempt=2))
    worker.heard()
    worker.accept("t1", attempt=1)
    worker.say("t1", 1, 1, attempt=1)
    worker.report("t1", 1, attempt=1)
    await bench.settled()
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED)] * 3
    assert bench.core.workers.refused_words == 3
    assert newer.story == ["assigned to w1"]


async def test_words_about_a_run_of_somebody_else_change_nothing(bench: RouterBench) -> None:
    worker = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run())
    stranger = bench.worker(a_worker("w2"))
    stranger.accept("t1")
    stranger.reject("t1")
    stranger.say("t1", 1, 1)
    stranger.report("t1", 1)
    await bench.settled()
    assert stranger.heard() == [Cancel(T1, CancelReason.FENCED)] * 4
    assert bench.core.workers.refused_words == 4
    assert planner.story == ["assigned to w1"]
    assert worker.heard() == [Assign(a_run(), "default")]
    assert bench.held == ["t1/1 on w1"]


async def test_a_lost_attempts_report_is_refused_while_the_planner_has_not_heard_of_the_loss(
    bench: RouterBench,
) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    worker.say("t1", 1, 1, size=3 * bench.graces.window_bytes)
    worker.heard()
    worker.report("t1", 1)
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert bench.core.workers.refused_words == 1
    again = await bench.dispatch(a_run(), assigned=worker.worker)
    assert again.story == ["assigned to w1", "started", "tokens 1-1", "lost with w1"]
