"""An attempt from its dispatch to its end, while every line holds."""

import pytest
from devteam_router.dispatch import NeverRan, WasLost
from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, Cancel, CancelReason, ReportAck, Resume, TokensAck
from devteam_router.graces import Graces

from devteam.mesh.errors import Aborted, ResourceExhausted, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker

T1 = AttemptId("t1", 1)


async def test_a_run_goes_from_a_planner_to_a_worker_and_its_words_come_back(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    assert worker.heard() == [Assign(a_run(), "default")]
    worker.accept("t1")
    worker.say("t1", 1, 2)
    worker.say("t1", 3, 3)
    await bench.settled()
    worker.report("t1", 3)
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "tokens 1-2", "tokens 3-3", "report after 3"]
    assert planner.over
    assert bench.held == []


async def test_what_is_stored_the_worker_may_forget(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run())
    worker.accept("t1")
    worker.say("t1", 1, 2)
    worker.report("t1", 2)
    worker.heard()
    bench.acknowledge("t1", 2)
    assert worker.heard() == [TokensAck(T1, 2)]
    bench.acknowledge("t1", 2, report=True)
    assert worker.heard() == [ReportAck(T1)]
    assert len(bench.core.attempts) == 0
    bench.acknowledge("t1", 2, report=True)
    assert worker.heard() == []


async def test_acknowledging_the_outcome_before_there_is_one_acknowledges_tokens_only(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run())
    worker.say("t1", 1, 2)
    worker.heard()
    bench.acknowledge("t1", 2, report=True)
    assert worker.heard() == [TokensAck(T1, 2)]
    assert bench.held == ["t1/1 on w1"]


async def test_a_repeated_report_changes_nothing(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.heard()
    worker.report("t1")
    worker.report("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "report after 0"]
    assert worker.heard() == []
    assert bench.core.workers.refused_words == 0


class TestGaps:
    async def test_a_gap_in_the_tokens_is_asked_for_again(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.say("t1", 1, 2)
        worker.heard()
        worker.say("t1", 4, 5)
        assert worker.heard() == [Resume(T1, 2)]
        worker.say("t1", 3, 5)
        await bench.settled()
        assert planner.story[2:] == ["tokens 1-2", "tokens 3-5"]

    async def test_what_came_before_is_ignored(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.say("t1", 1, 5)
        worker.heard()
        worker.say("t1", 1, 2)
        worker.say("t1", 3, 5)
        await bench.settled()
        assert worker.heard() == []
        assert planner.story[2:] == ["tokens 1-5"]

    async def test_a_report_that_outran_its_tokens_is_asked_for_again_with_them(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.heard()
        worker.report("t1", 2)
        assert worker.heard() == [Resume(T1, 0)]
        worker.say("t1", 1, 2)
        worker.report("t1", 2)
        await bench.settled()
        assert planner.story[2:] == ["tokens 1-2", "report after 2"]


class TestRejection:
    async def test_a_rejected_run_goes_elsewhere_and_burns_no_attempt(self, bench: RouterBench) -> None:
        refusing = bench.worker(a_worker("w1"))
        planner = await bench.dispatch(a_run())
        other = bench.worker(a_worker("w2"))
        refusing.reject("t1")
        assert other.heard() == [Assign(a_run(), "default")]
        other.accept("t1")
        other.report("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "assigned to w2", "started", "report after 0"]
        assert bench.held == []

    async def test_what_was_accepted_cannot_be_rejected(self, bench: RouterBench) -> None:
        worker = bench.worker()
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.heard()
        worker.reject("t1")
        assert worker.heard() == []
        assert bench.held == ["t1/1 on w1"]

    async def test_tokens_mean_acceptance(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.say("t1", 1, 1)
        worker.reject("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "tokens 1-1"]
        assert bench.held == ["t1/1 on w1"]

    async def test_whoever_waits_longest_in_line_stays_first_when_put_back(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("t1"))
        await bench.dispatch(a_run("t2"))
        worker.reject("t1")
        worker.heard()
        await bench.advance(bench.graces.refusal)
        assert worker.heard() == [Assign(a_run("t1"), "default")]


class TestFencing:
    async def test_a_stale_attempt_is_refused(self, bench: RouterBench) -> None:
        bench.worker()
        await bench.dispatch(a_run(attempt=2))
        stale = await bench.dispatch(a_run(attempt=1))
        assert isinstance(stale.error, Aborted)
        assert (stale.error.reason, stale.error.metadata) == ("STALE_ATTEMPT", {"current_attempt": "2"})
        assert bench.held == ["t1/2 on w1"]

    async def test_a_newer_attempt_fences_the_older_one_which_keeps_its_slot_until_it_has_stopped(
        self, bench: RouterBench
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

    async def test_a_newer_attempt_takes_the_older_one_out_of_the_line(self, bench: RouterBench) -> None:
        older = await bench.dispatch(a_run(attempt=1))
        newer = await bench.dispatch(a_run(attempt=2))
        worker = bench.worker()
        await bench.settled()
        assert worker.heard() == [Assign(a_run(attempt=2), "default")]
        assert (older.story, newer.story) == (
            ["waits: no_worker_in_queue"],
            ["waits: no_worker_in_queue", "waits: no_worker_available", "assigned to w1"],
        )

    async def test_late_words_of_a_fenced_attempt_are_answered_by_cancel_and_counted(self, bench: RouterBench) -> None:
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

    async def test_words_about_a_run_of_somebody_else_change_nothing(self, bench: RouterBench) -> None:
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
        self, bench: RouterBench
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


class TestCancellation:
    async def test_a_waiting_run_ends_at_once(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run())
        bench.cancel("t1")
        await bench.settled()
        assert planner.story == ["waits: no_worker_in_queue", "cancelled"]
        assert len(bench.core.attempts) == len(bench.core.lines) == 0

    async def test_a_running_one_ends_with_its_workers_report(self, bench: RouterBench) -> None:
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

    async def test_its_slot_is_free_only_when_its_worker_says_that_it_has_stopped(self, bench: RouterBench) -> None:
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

    async def test_one_that_its_worker_rejects_is_not_taken_elsewhere(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker("w1"))
        planner = await bench.dispatch(a_run())
        other = bench.worker(a_worker("w2"))
        bench.cancel("t1")
        worker.reject("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "stop told to w1", "cancelled"]
        assert other.heard() == []
        assert bench.held == []

    async def test_cancelling_what_is_over_or_unknown_is_harmless(self, bench: RouterBench) -> None:
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


class TestScheduleDeadline:
    async def test_a_run_that_finds_no_worker_in_time_never_ran(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(schedule_within=30.0))
        await bench.advance(29.9)
        assert not planner.over
        await bench.advance(0.1)
        assert planner.story == ["waits: no_worker_in_queue", "out of time"]
        end = planner.events[-1]
        assert isinstance(end, NeverRan)
        assert end.message == (
            "no worker took it within its schedule_timeout: no worker serves default; "
            "start one with: devteam-worker start --queue default"
        )
        assert len(bench.core.lines) == 0

    @pytest.mark.parametrize("within", [0.0, -5.0])
    async def test_after_its_deadline_it_is_placed_nowhere(self, bench: RouterBench, within: float) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(schedule_within=within))
        assert planner.story == ["out of time"]
        assert worker.heard() == []

    async def test_a_loop_that_is_behind_hands_out_nothing_that_is_too_late(self, bench: RouterBench) -> None:
        """The worker's line opens before the run's timer has had its turn: the one behind it goes out."""
        late = await bench.dispatch(a_run("t1", schedule_within=30.0))
        behind = await bench.dispatch(a_run("t2"))
        bench.clock.stall(31)
        worker = bench.worker()
        await bench.advance(0)
        assert late.story == ["waits: no_worker_in_queue", "waits: no_worker_available", "out of time"]
        assert behind.story == ["waits: no_worker_in_queue", "waits: no_worker_available", "assigned to w1"]
        assert worker.heard() == [Assign(a_run("t2"), "default")]
        assert bench.held == ["t2/1 on w1"]

    async def test_a_started_run_has_no_such_limit(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(schedule_within=30.0))
        worker.accept("t1")
        await bench.advance(3600)
        worker.report("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "report after 0"]

    async def test_it_holds_for_a_run_that_was_put_back_in_line(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(schedule_within=0.5))
        worker.reject("t1")
        await bench.advance(0.5)
        assert planner.story == ["assigned to w1", "waits: all_slots_busy", "out of time"]

    async def test_a_rejection_after_the_deadline_ends_it(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker("w1"))
        planner = await bench.dispatch(a_run(schedule_within=30.0))
        other = bench.worker(a_worker("w2"))
        await bench.advance(31)
        worker.reject("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "out of time"]
        assert other.heard() == []


class TestLimits:
    async def test_a_full_line_takes_no_more(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(max_waiting=2))
        for n in range(2):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature(f"q{n}")))
        refused = await bench.dispatch(a_run("t9"))
        assert isinstance(refused.error, ResourceExhausted)
        assert (refused.error.reason, refused.error.retry_after) == ("ROUTER_FULL", 5.0)
        assert await bench.wind_down() == []

    async def test_a_full_queue_takes_no_more_and_leaves_room_in_the_others(self, clock: FakeClock) -> None:
        """The first of a run's queues counts."""
        bench = RouterBench(clock, graces=Graces(max_waiting_per_queue=1))
        await bench.dispatch(a_run("t1", signature=a_signature("a", "b")))
        refused = await bench.dispatch(a_run("t2", signature=a_signature("a", model="opus")))
        assert isinstance(refused.error, ResourceExhausted)
        assert (refused.error.reason, refused.error.message) == (
            "QUEUE_FULL",
            "queue 'a' has 1 runs that wait for a worker, and no more may",
        )
        assert (await bench.dispatch(a_run("t3", signature=a_signature("b")))).error is None
        bench.cancel("t1")
        assert (await bench.dispatch(a_run("t2", signature=a_signature("a")))).error is None
        assert await bench.wind_down() == []

    async def test_a_tenant_that_fills_its_share_is_refused_and_no_other(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(max_waiting_per_tenant=2))
        for n in range(2):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature(f"q{n}"), tenant="acme"))
        refused = await bench.dispatch(a_run("t8", tenant="acme"))
        assert isinstance(refused.error, ResourceExhausted)
        assert refused.error.reason == "TENANT_FULL"
        assert "'acme'" in refused.error.message
        assert (await bench.dispatch(a_run("t9", tenant="other"))).error is None
        assert await bench.wind_down() == []

    async def test_what_runs_counts_against_nobody(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(max_waiting=1, max_waiting_per_queue=1, max_waiting_per_tenant=1))
        bench.worker(a_worker(queues={"default": 2}))
        for n in range(2):
            assert (await bench.dispatch(a_run(f"t{n}"))).story == ["assigned to w1"]
        assert (await bench.dispatch(a_run("t3"))).story == ["waits: all_slots_busy"]
        assert isinstance((await bench.dispatch(a_run("t4"))).error, ResourceExhausted)

    async def test_a_run_whose_time_is_over_ends_even_while_the_router_is_full(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(max_waiting=1))
        await bench.dispatch(a_run("t1"))
        assert (await bench.dispatch(a_run("t2", schedule_within=0.0))).story == ["out of time"]

    async def test_a_worker_that_ignores_its_window_loses_the_run(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(window_bytes=100))
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.say("t1", 1, 1, size=200)
        assert bench.held == ["t1/1 on w1"]
        worker.heard()
        worker.say("t1", 2, 2, size=1)
        await bench.settled()
        assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
        assert isinstance(planner.events[-1], WasLost)
        assert planner.events[-1].message == "worker w1 sent more than its window allows"
        assert bench.held == []
        assert await bench.wind_down() == []

    async def test_acknowledged_tokens_do_not_count_against_the_window(self, clock: FakeClock) -> None:
        bench = RouterBench(clock, graces=Graces(window_bytes=100))
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        for seq in range(1, 9):
            worker.say("t1", seq, seq, size=150)
            bench.acknowledge("t1", seq)
        await bench.settled()
        assert not planner.over
        assert await bench.wind_down() == []


class TestDraining:
    async def test_new_runs_are_refused(self, bench: RouterBench) -> None:
        bench.core.planners.drain()
        refused = await bench.dispatch(a_run())
        assert isinstance(refused.error, Unavailable)
        assert refused.error.reason == "DRAINING"

    async def test_a_planner_may_still_come_back_to_what_it_has_here(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        await planner.leave()
        bench.core.planners.drain()
        again = await bench.dispatch(a_run())
        worker.report("t1")
        await bench.settled()
        assert again.story == ["assigned to w1", "started", "report after 0"]
