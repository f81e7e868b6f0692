"""Workers whose line breaks, and who come back or do not."""

import pytest
from devteam_router.dispatch import WasLost
from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, Cancel, CancelReason, ReportAck, Resume

from devteam.mesh.errors import Aborted
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)
W1 = a_worker().instance


async def test_a_worker_that_comes_back_in_time_goes_on_after_what_was_received(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.say("t1", 1, 2)
    worker.hang_up()
    await bench.advance(9.9)
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Resume(T1, 2)]
    await bench.advance(3600)
    back.say("t1", 3, 4)
    back.report("t1", 4)
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "tokens 1-2", "tokens 3-4", "report after 4"]


async def test_a_worker_that_does_not_come_back_loses_its_runs(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.hang_up()
    await bench.advance(10)
    assert planner.story == ["assigned to w1", "started", "lost with w1"]
    assert isinstance(planner.events[-1], WasLost)
    assert planner.events[-1].message == "worker w1 did not come back within 10 s"
    assert bench.held == []


async def test_the_grace_begins_anew_each_time(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    for _ in range(3):
        worker.hang_up()
        await bench.advance(7)
        worker = bench.attach(W1, in_hand("t1"))
    assert not planner.over
    assert bench.held == ["t1/1 on w1"]


async def test_while_a_worker_is_away_it_gets_no_work_and_keeps_its_slots(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run("t1"))
    worker.accept("t1")
    worker.hang_up()
    waiting = await bench.dispatch(a_run("t2"))
    assert waiting.story == ["waits: no_worker_available"]
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Resume(T1, 0), Assign(a_run("t2"), "default")]
    assert bench.held == ["t1/1 on w1", "t2/1 on w1"]


async def test_a_run_that_came_back_missing_is_lost(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.hang_up()
    bench.attach(W1)
    await bench.settled()
    assert planner.story[-1] == "lost with w1"
    assert bench.held == []


async def test_a_run_that_never_reached_the_worker_is_sent_again(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.hang_up()
    back = bench.attach(W1)
    await bench.settled()
    assert back.heard() == [Assign(a_run(), "default")]
    assert planner.story[-1] == "assigned to w1"


async def test_a_run_whose_acceptance_was_cut_off_has_started(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.hang_up()
    back = bench.attach(W1, in_hand("t1"))
    await bench.settled()
    assert back.heard() == [Resume(T1, 0)]
    assert planner.story == ["assigned to w1", "started"]


async def test_a_run_that_its_lost_worker_may_have_started_is_lost(bench: RouterBench) -> None:
    worker = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run())
    other = bench.worker(a_worker("w2"))
    worker.hang_up()
    await bench.advance(10)
    assert planner.story == ["assigned to w1", "lost with w1"]
    assert other.heard() == []
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Cancel(T1, CancelReason.FENCED)]


async def test_a_cancellation_asked_for_meanwhile_is_passed_on(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.hang_up()
    bench.cancel("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started"]
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Resume(T1, 0), Cancel(T1, CancelReason.REQUESTED)]
    await bench.settled()
    assert planner.story[-1] == "stop told to w1"


async def test_whoever_was_told_to_stop_is_told_again_when_its_line_broke(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    bench.cancel("t1")
    worker.hang_up()
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Resume(T1, 0), Cancel(T1, CancelReason.REQUESTED)]
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "stop told to w1", "stop told to w1"]


async def test_a_planner_that_comes_later_hears_where_it_runs_and_that_it_was_told(bench: RouterBench) -> None:
    worker = bench.worker()
    first = await bench.dispatch(a_run())
    worker.accept("t1")
    bench.cancel("t1")
    await first.leave()
    second = await bench.dispatch(a_run())
    assert second.story == ["assigned to w1", "started", "stop told to w1"]


async def test_a_cancelled_run_that_never_reached_its_worker_ends(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.hang_up()
    bench.cancel("t1")
    back = bench.attach(W1)
    await bench.settled()
    assert back.heard() == []
    assert planner.story == ["assigned to w1", "cancelled"]


async def test_the_newer_stream_wins_and_the_end_of_the_old_one_means_nothing(bench: RouterBench) -> None:
    old = bench.worker()
    await bench.dispatch(a_run())
    old.accept("t1")
    new = bench.attach(W1, in_hand("t1"))
    old.hang_up()
    await bench.advance(60)
    assert isinstance(old.closed_with, Aborted)
    assert old.closed_with.reason == "SESSION_SUPERSEDED"
    assert new.heard() == [Resume(T1, 0)]
    assert bench.held == ["t1/1 on w1"]


async def test_a_report_whose_acknowledgement_was_lost_is_acknowledged_on_return(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run())
    worker.accept("t1")
    worker.report("t1")
    worker.hang_up()
    bench.acknowledge("t1", 0, report=True)
    back = bench.attach(W1, in_hand("t1", ended=True))
    assert back.heard() == [ReportAck(T1)]


async def test_a_report_that_is_not_stored_yet_is_not_asked_for_again(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run())
    worker.accept("t1")
    worker.report("t1")
    worker.hang_up()
    back = bench.attach(W1, in_hand("t1", ended=True))
    assert back.heard() == []
    bench.acknowledge("t1", 0, report=True)
    assert back.heard() == [ReportAck(T1)]


async def test_a_run_that_ended_while_the_line_was_down_occupies_no_slot(bench: RouterBench) -> None:
    worker = bench.worker(a_worker(queues={"default": 1}))
    planner = await bench.dispatch(a_run("t1"))
    await bench.dispatch(a_run("t2"))
    worker.accept("t1")
    worker.hang_up()
    back = bench.attach(W1, in_hand("t1", ended=True))
    assert back.heard() == [Resume(T1, 0), Assign(a_run("t2"), "default")]
    back.report("t1")
    await bench.settled()
    assert planner.story[-1] == "report after 0"
    assert bench.held == ["t2/1 on w1"]


async def test_a_run_lost_before_its_planner_heard_of_it_is_stopped_when_its_worker_returns(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    worker.hang_up()
    await bench.advance(15)
    back = bench.attach(W1, in_hand("t1"))
    assert back.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert bench.held == []


@pytest.mark.parametrize("ended", [False, True])
async def test_an_abandoned_run_frees_its_slot_once_its_worker_has_stopped(bench: RouterBench, ended: bool) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    await bench.advance(55)
    worker.hang_up()
    await bench.advance(5)
    back = bench.attach(W1, in_hand("t1", ended=ended))
    assert back.heard() == [Cancel(T1, CancelReason.FENCED)]
    assert bench.held == ([] if ended else ["t1/1 on w1"])


async def test_an_abandoned_run_that_is_not_there_any_more_frees_its_slot(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    await planner.leave()
    await bench.advance(60)
    worker.hang_up()
    bench.attach(W1)
    assert bench.held == []
