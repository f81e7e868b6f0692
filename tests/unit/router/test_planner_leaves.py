"""Planners that go, and come back or do not."""

from devteam_router.domain import AttemptId
from devteam_router.frames import Cancel, CancelReason, RejectReason, Resume

from devteam.mesh.errors import Aborted
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)
W1 = a_worker().instance


async def test_it_comes_back_and_goes_on_after_the_last_token_it_has(bench: RouterBench) -> None:
    worker = bench.worker()
    first = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.say("t1", 1, 2)
    worker.say("t1", 3, 3)
    await bench.settled()
    await first.leave()
    worker.say("t1", 4, 6)
    worker.heard()

    second = await bench.dispatch(a_run(), last_seq=2, assigned=W1)
    worker.say("t1", 7, 7)
    worker.report("t1", 7)
    await bench.settled()

    assert second.story == ["assigned to w1", "started", "tokens 3-3", "tokens 4-6", "tokens 7-7", "report after 7"]
    assert worker.heard() == []


async def test_it_comes_back_to_a_run_that_ended_meanwhile(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    worker.say("t1", 1, 1)
    worker.report("t1", 1)
    assert bench.held == []
    again = await bench.dispatch(a_run(), assigned=W1)
    assert again.story == ["assigned to w1", "started", "tokens 1-1", "report after 1"]


async def test_it_comes_back_with_less_than_it_acknowledged_and_the_worker_sends_again(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.say("t1", 1, 2)
    worker.say("t1", 3, 3)
    await bench.settled()
    bench.acknowledge("t1", 2)
    await planner.leave()
    worker.heard()
    again = await bench.dispatch(a_run(), last_seq=0, assigned=W1)
    assert worker.heard() == [Resume(T1, 0)]
    worker.say("t1", 1, 3)
    await bench.settled()
    assert again.story == ["assigned to w1", "started", "tokens 1-3"]


async def test_a_second_call_takes_over_from_the_first(bench: RouterBench) -> None:
    worker = bench.worker()
    first = await bench.dispatch(a_run())
    second = await bench.dispatch(a_run(), assigned=W1)
    worker.say("t1", 1, 1)
    await bench.settled()
    assert isinstance(first.error, Aborted)
    assert first.error.reason == "DISPATCH_SUPERSEDED"
    assert second.story == ["assigned to w1", "started", "tokens 1-1"]


async def test_a_run_that_nobody_follows_is_stopped_after_the_orphan_grace(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    worker.heard()
    await bench.advance(59.9)
    assert worker.heard() == []
    await bench.advance(0.1)
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert bench.held == ["t1/1 on w1"]
    worker.report("t1")
    assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert bench.held == []


async def test_a_refusal_that_was_on_its_way_when_a_run_was_given_up_frees_its_slot(bench: RouterBench) -> None:
    """The worker has none of it, and says nothing more."""
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    await planner.leave()
    await bench.advance(60)
    assert bench.held == ["t1/1 on w1"]
    worker.reject("t1", reason=RejectReason.BUSY)
    assert bench.held == []


async def test_a_release_that_was_on_its_way_when_a_run_was_given_up_frees_its_slot(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    await bench.advance(60)
    assert bench.held == ["t1/1 on w1"]
    worker.release("t1")
    assert bench.held == []


async def test_what_a_worker_says_late_frees_no_slot_of_another(bench: RouterBench) -> None:
    bench.worker()
    other = bench.worker(a_worker("w2", queues={"elsewhere": 1}))
    planner = await bench.dispatch(a_run())
    await planner.leave()
    await bench.advance(60)
    other.reject("t1")
    other.release("t1")
    assert bench.held == ["t1/1 on w1"]


async def test_a_planner_that_comes_back_after_that_has_lost_it(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    await bench.advance(60)
    worker.hang_up()
    again = await bench.dispatch(a_run(), assigned=W1)
    assert again.story == ["lost with w1"]
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Cancel(T1, CancelReason.FENCED)]


async def test_a_run_in_line_that_nobody_follows_leaves_it(bench: RouterBench) -> None:
    planner = await bench.dispatch(a_run())
    await planner.leave()
    await bench.advance(60)
    assert bench.worker().heard() == []


async def test_the_grace_begins_anew_each_time(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    for _ in range(3):
        await planner.leave()
        await bench.advance(50)
        planner = await bench.dispatch(a_run(), assigned=W1)
        assert planner.story == ["assigned to w1", "started"]


async def test_a_cancelled_run_is_not_started_again_by_a_planner_that_missed_its_end(bench: RouterBench) -> None:
    planner = await bench.dispatch(a_run())
    await planner.leave()
    bench.cancel("t1")
    worker = bench.worker()
    again = await bench.dispatch(a_run())
    assert again.story == ["waits: no_worker_in_queue", "cancelled"]
    assert worker.heard() == []
