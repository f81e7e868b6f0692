"""Planners and workers that go, and come back or do not."""

import pytest
from devteam_router.dispatch import WasLost
from devteam_router.domain import AttemptId, Availability, WorkerState
from devteam_router.frames import Assign, Cancel, CancelReason, Drain, DrainReason, ReportAck, Resume
from devteam_router.ports import WorkerRemoved

from devteam.mesh.errors import Aborted, NotFound
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)
W1 = a_worker().instance


class TestPlannerLeaves:
    async def test_it_comes_back_and_goes_on_after_the_last_token_it_has(self, bench: RouterBench) -> None:
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

    async def test_it_comes_back_to_a_run_that_ended_meanwhile(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        await planner.leave()
        worker.say("t1", 1, 1)
        worker.report("t1", 1)
        assert bench.held == []
        again = await bench.dispatch(a_run(), assigned=W1)
        assert again.story == ["assigned to w1", "started", "tokens 1-1", "report after 1"]

    async def test_it_comes_back_with_less_than_it_acknowledged_and_the_worker_sends_again(
        self, bench: RouterBench
    ) -> None:
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

    async def test_a_second_call_takes_over_from_the_first(self, bench: RouterBench) -> None:
        worker = bench.worker()
        first = await bench.dispatch(a_run())
        second = await bench.dispatch(a_run(), assigned=W1)
        worker.say("t1", 1, 1)
        await bench.settled()
        assert isinstance(first.error, Aborted)
        assert first.error.reason == "DISPATCH_SUPERSEDED"
        assert second.story == ["assigned to w1", "started", "tokens 1-1"]

    async def test_a_run_that_nobody_follows_is_stopped_after_the_orphan_grace(self, bench: RouterBench) -> None:
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

    async def test_a_planner_that_comes_back_after_that_has_lost_it(self, bench: RouterBench) -> None:
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

    async def test_a_run_in_line_that_nobody_follows_leaves_it(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run())
        await planner.leave()
        await bench.advance(60)
        assert bench.worker().heard() == []

    async def test_the_grace_begins_anew_each_time(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        for _ in range(3):
            await planner.leave()
            await bench.advance(50)
            planner = await bench.dispatch(a_run(), assigned=W1)
            assert planner.story == ["assigned to w1", "started"]

    async def test_a_cancelled_run_is_not_started_again_by_a_planner_that_missed_its_end(
        self, bench: RouterBench
    ) -> None:
        planner = await bench.dispatch(a_run())
        await planner.leave()
        bench.cancel("t1")
        worker = bench.worker()
        again = await bench.dispatch(a_run())
        assert again.story == ["waits: no_worker_in_queue", "cancelled"]
        assert worker.heard() == []


class TestLinkBreaks:
    async def test_a_worker_that_comes_back_in_time_goes_on_after_what_was_received(self, bench: RouterBench) -> None:
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

    async def test_a_worker_that_does_not_come_back_loses_its_runs(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.hang_up()
        await bench.advance(10)
        assert planner.story == ["assigned to w1", "started", "lost with w1"]
        assert isinstance(planner.events[-1], WasLost)
        assert planner.events[-1].message == "worker w1 did not come back within 10 s"
        assert bench.held == []

    async def test_the_grace_begins_anew_each_time(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        for _ in range(3):
            worker.hang_up()
            await bench.advance(7)
            worker = bench.attach(W1, in_hand("t1"))
        assert not planner.over
        assert bench.held == ["t1/1 on w1"]

    async def test_while_a_worker_is_away_it_gets_no_work_and_keeps_its_slots(self, bench: RouterBench) -> None:
        worker = bench.worker()
        await bench.dispatch(a_run("t1"))
        worker.accept("t1")
        worker.hang_up()
        waiting = await bench.dispatch(a_run("t2"))
        assert waiting.story == ["waits: no_worker_available"]
        back = bench.attach(W1, in_hand("t1"))
        assert back.heard() == [Resume(T1, 0), Assign(a_run("t2"), "default")]
        assert bench.held == ["t1/1 on w1", "t2/1 on w1"]

    async def test_a_run_that_came_back_missing_is_lost(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.hang_up()
        bench.attach(W1)
        await bench.settled()
        assert planner.story[-1] == "lost with w1"
        assert bench.held == []

    async def test_a_run_that_never_reached_the_worker_is_sent_again(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.hang_up()
        back = bench.attach(W1)
        await bench.settled()
        assert back.heard() == [Assign(a_run(), "default")]
        assert planner.story[-1] == "assigned to w1"

    async def test_a_run_whose_acceptance_was_cut_off_has_started(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.hang_up()
        back = bench.attach(W1, in_hand("t1"))
        await bench.settled()
        assert back.heard() == [Resume(T1, 0)]
        assert planner.story == ["assigned to w1", "started"]

    async def test_a_run_that_its_lost_worker_may_have_started_is_lost(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker("w1"))
        planner = await bench.dispatch(a_run())
        other = bench.worker(a_worker("w2"))
        worker.hang_up()
        await bench.advance(10)
        assert planner.story == ["assigned to w1", "lost with w1"]
        assert other.heard() == []
        back = bench.attach(W1, in_hand("t1"))
        assert back.heard() == [Cancel(T1, CancelReason.FENCED)]

    async def test_a_cancellation_asked_for_meanwhile_is_passed_on(self, bench: RouterBench) -> None:
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

    async def test_whoever_was_told_to_stop_is_told_again_when_its_line_broke(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        bench.cancel("t1")
        worker.hang_up()
        back = bench.attach(W1, in_hand("t1"))
        assert back.heard() == [Resume(T1, 0), Cancel(T1, CancelReason.REQUESTED)]
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "stop told to w1", "stop told to w1"]

    async def test_a_planner_that_comes_later_hears_where_it_runs_and_that_it_was_told(
        self, bench: RouterBench
    ) -> None:
        worker = bench.worker()
        first = await bench.dispatch(a_run())
        worker.accept("t1")
        bench.cancel("t1")
        await first.leave()
        second = await bench.dispatch(a_run())
        assert second.story == ["assigned to w1", "started", "stop told to w1"]

    async def test_a_cancelled_run_that_never_reached_its_worker_ends(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.hang_up()
        bench.cancel("t1")
        back = bench.attach(W1)
        await bench.settled()
        assert back.heard() == []
        assert planner.story == ["assigned to w1", "cancelled"]

    async def test_the_newer_stream_wins_and_the_end_of_the_old_one_means_nothing(self, bench: RouterBench) -> None:
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

    async def test_a_report_whose_acknowledgement_was_lost_is_acknowledged_on_return(self, bench: RouterBench) -> None:
        worker = bench.worker()
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.report("t1")
        worker.hang_up()
        bench.acknowledge("t1", 0, report=True)
        back = bench.attach(W1, in_hand("t1", ended=True))
        assert back.heard() == [ReportAck(T1)]

    async def test_a_report_that_is_not_stored_yet_is_not_asked_for_again(self, bench: RouterBench) -> None:
        worker = bench.worker()
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.report("t1")
        worker.hang_up()
        back = bench.attach(W1, in_hand("t1", ended=True))
        assert back.heard() == []
        bench.acknowledge("t1", 0, report=True)
        assert back.heard() == [ReportAck(T1)]

    async def test_a_run_that_ended_while_the_line_was_down_occupies_no_slot(self, bench: RouterBench) -> None:
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

    async def test_a_run_lost_before_its_planner_heard_of_it_is_stopped_when_its_worker_returns(
        self, bench: RouterBench
    ) -> None:
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
    async def test_an_abandoned_run_frees_its_slot_once_its_worker_has_stopped(
        self, bench: RouterBench, ended: bool
    ) -> None:
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

    async def test_an_abandoned_run_that_is_not_there_any_more_frees_its_slot(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        await planner.leave()
        await bench.advance(60)
        worker.hang_up()
        bench.attach(W1)
        assert bench.held == []


class TestTheRegistrySpeaks:
    async def test_a_new_instance_means_that_the_runs_of_the_old_one_are_lost_at_once(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run("t1"))
        worker.accept("t1")
        bench.register(a_worker(instance="i2"))
        await bench.settled()
        assert planner.story[-1] == "lost with w1"
        assert bench.held == []
        worker.say("t1", 1, 1)
        assert worker.heard()[-1] == Cancel(T1, CancelReason.FENCED)

    async def test_what_the_old_instance_never_accepted_goes_to_the_new_one(self, bench: RouterBench) -> None:
        bench.worker()
        planner = await bench.dispatch(a_run())
        new = bench.worker(a_worker(instance="i2"))
        await bench.settled()
        assert new.heard() == [Assign(a_run(), "default")]
        assert planner.story == ["assigned to w1", "waits: no_worker_available", "assigned to w1"]

    async def test_a_lost_worker_loses_its_runs_although_its_line_is_open(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.heard()
        bench.register(a_worker(state=WorkerState.LOST))
        await bench.settled()
        assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
        assert planner.story[-1] == "lost with w1"

    @pytest.mark.parametrize("state", [WorkerState.SUSPECT, WorkerState.UNHEALTHY])
    async def test_a_worker_in_doubt_keeps_what_it_runs(self, bench: RouterBench, state: WorkerState) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        bench.register(a_worker(state=state))
        worker.report("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "report after 0"]

    async def test_a_removed_worker_loses_its_runs_and_its_line(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        bench.core.hear(WorkerRemoved("w1"))
        await bench.settled()
        assert planner.story[-1] == "lost with w1"
        assert isinstance(worker.closed_with, NotFound)
        assert worker.closed_with.reason == "WORKER_NOT_REGISTERED"

    async def test_a_draining_worker_is_told_and_finishes_what_it_has(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.heard()
        bench.register(a_worker(availability=Availability.DRAINING))
        assert worker.heard() == [Drain(DrainReason.WORKER)]
        worker.report("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "report after 0"]

    async def test_a_draining_worker_is_told_the_rest_of_its_time_also_when_it_comes_back(
        self, bench: RouterBench
    ) -> None:
        worker = bench.worker()
        worker.heard()
        bench.register(a_worker(availability=Availability.DRAINING, drain_within=90.0))
        assert worker.heard() == [Drain(DrainReason.WORKER, 90.0)]
        worker.hang_up()
        for rest in (60.0, 30.0, 0.0, 0.0):
            await bench.advance(30)
            assert bench.attach(W1).heard() == [Drain(DrainReason.WORKER, rest)]

    async def test_a_drain_that_was_taken_back_is_not_repeated(self, bench: RouterBench) -> None:
        bench.worker(a_worker(availability=Availability.DRAINING))
        bench.register(a_worker())
        assert bench.attach(W1).heard() == []
