"""A Router that knows nothing, workers that have something in hand, and planners that ask for it."""

import pytest
from devteam_router.dispatch import AssignedTo, WasLost
from devteam_router.domain import AttemptId, WorkerInstance
from devteam_router.frames import Assign, Cancel, CancelReason, ReportAck, Resume

from tests.fakes.router_bench import RouterBench, WorkerEnd, in_hand
from tests.fakes.router_samples import a_run, a_worker

T1 = AttemptId("t1", 1)
W1 = a_worker().instance
W2 = a_worker("w2").instance


async def finish(bench: RouterBench, worker: WorkerEnd) -> None:
    """The generation goes on from token 6 to token 8, and ends."""
    worker.say("t1", 6, 8)
    worker.report("t1", 8)
    await bench.settled()


class TestBothOrders:
    async def test_the_worker_attaches_first(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        assert worker.heard() == []
        assert bench.held == ["t1/1 on w1"]
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        assert worker.heard() == [Resume(T1, 5)]
        await finish(bench, worker)
        assert planner.story == ["adopted on w1", "tokens 6-8", "report after 8"]
        assert bench.held == []

    async def test_the_planner_dispatches_first(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        assert planner.story == ["waits: worker_reconnecting"]
        worker = bench.worker(a_worker(), in_hand("t1"))
        assert worker.heard() == [Resume(T1, 5)]
        await finish(bench, worker)
        assert planner.story == [
            "waits: worker_reconnecting",
            "adopted on w1",
            "started",
            "tokens 6-8",
            "report after 8",
        ]
        assert bench.held == []

    async def test_across_a_whole_life_no_token_is_lost_and_none_doubled(self, bench: RouterBench) -> None:
        worker = bench.worker()
        before = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.say("t1", 1, 3)
        worker.say("t1", 4, 5)
        await bench.settled()
        bench.restart()
        worker = bench.worker(a_worker(), in_hand("t1"))
        after = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        worker.heard()
        await finish(bench, worker)
        assert before.story[2:] + after.story[1:] == ["tokens 1-3", "tokens 4-5", "tokens 6-8", "report after 8"]

    async def test_a_run_that_had_ended_reports_again(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}), in_hand("t1", ended=True))
        assert bench.core.leases.active("w1") == 0
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        assert worker.heard() == [Resume(T1, 5)]
        await finish(bench, worker)
        assert planner.story == ["adopted on w1", "tokens 6-8", "report after 8"]
        bench.acknowledge("t1", 8, report=True)
        assert worker.heard() == [ReportAck(T1)]

    async def test_a_planner_that_was_never_told_where_it_runs_finds_it_there(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run())
        worker = bench.worker(a_worker(queues={"other": 1}), in_hand("t1", queue="other"))
        await bench.settled()
        assert worker.heard() == [Resume(T1, 0)]
        assert planner.story == ["waits: no_worker_in_queue", "adopted on w1", "started"]
        assert bench.held == ["t1/1 on w1"]
        assert len(bench.core.lines) == 0


class TestUnclaimed:
    async def test_an_unclaimed_run_occupies_its_slot(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}), in_hand("t1"))
        planner = await bench.dispatch(a_run("t2"))
        assert planner.story == ["waits: all_slots_busy"]
        assert worker.heard() == []

    async def test_nothing_is_said_about_it_until_a_planner_asks(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        worker.say("t1", 6, 6)
        worker.report("t1", 6)
        assert worker.heard() == []
        assert bench.core.workers.refused_words == 0

    async def test_after_the_orphan_grace_it_is_stopped(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        await bench.advance(59.9)
        assert worker.heard() == []
        await bench.advance(0.1)
        assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
        assert bench.held == []

    async def test_one_that_had_ended_leaves_nothing_behind(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1", ended=True))
        await bench.advance(60)
        assert worker.heard() == [Cancel(T1, CancelReason.FENCED)]
        assert bench.held == []

    async def test_it_survives_a_break_of_the_line_but_not_the_end_of_its_grace(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        worker.hang_up()
        await bench.advance(5)
        worker = bench.attach(W1, in_hand("t1"))
        assert worker.heard() == []
        worker.hang_up()
        await bench.advance(10)
        assert bench.held == []
        assert len(bench.core.attempts) == 0

    async def test_a_planner_that_claims_it_while_its_line_is_down_waits_for_the_worker(
        self, bench: RouterBench
    ) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        worker.hang_up()
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        worker = bench.attach(W1, in_hand("t1"))
        assert worker.heard() == [Resume(T1, 5)]
        await finish(bench, worker)
        assert planner.story == ["adopted on w1", "tokens 6-8", "report after 8"]

    async def test_cancelling_it_reaches_the_worker_and_its_report_waits_for_the_planner(
        self, bench: RouterBench
    ) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        bench.cancel("t1")
        assert worker.heard() == [Cancel(T1, CancelReason.REQUESTED)]
        worker.report("t1", 5)
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W1)
        assert worker.heard() == [Resume(T1, 5), Cancel(T1, CancelReason.REQUESTED)]
        worker.report("t1", 5)
        await bench.settled()
        assert planner.story == ["adopted on w1", "stop told to w1", "stop told to w1", "report after 5"]

    async def test_a_newer_attempt_fences_it(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(), in_hand("t1"))
        await bench.dispatch(a_run(attempt=2))
        assert worker.heard() == [Cancel(T1, CancelReason.FENCED), Assign(a_run(attempt=2), "default")]

    async def test_an_older_attempt_beside_a_newer_one_is_stopped_whichever_comes_first(
        self, bench: RouterBench
    ) -> None:
        older = bench.worker(a_worker("w1"), in_hand("t1", attempt=1))
        newer = bench.worker(a_worker("w2"), in_hand("t1", attempt=2))
        assert (older.heard(), newer.heard()) == ([Cancel(T1, CancelReason.FENCED)], [])
        third = bench.worker(a_worker("w3"), in_hand("t1", attempt=1))
        assert third.heard() == [Cancel(T1, CancelReason.FENCED)]

    async def test_of_two_workers_with_the_same_attempt_the_first_has_it(self, bench: RouterBench) -> None:
        first = bench.worker(a_worker("w1"), in_hand("t1"))
        second = bench.worker(a_worker("w2"), in_hand("t1"))
        assert (first.heard(), second.heard()) == ([], [Cancel(T1, CancelReason.FENCED)])
        assert bench.held == ["t1/1 on w1"]

    async def test_a_worker_that_the_planner_does_not_name_must_not_go_on_with_it(self, bench: RouterBench) -> None:
        wrong = bench.worker(a_worker("w1"), in_hand("t1"))
        planner = await bench.dispatch(a_run(), last_seq=5, assigned=W2)
        right = bench.worker(a_worker("w2"), in_hand("t1"))
        assert planner.story == ["lost with w2"]
        assert wrong.heard() == right.heard() == [Cancel(T1, CancelReason.FENCED)]
        assert bench.held == []


class TestReconnecting:
    async def test_the_run_is_never_started_anywhere_else(self, bench: RouterBench) -> None:
        other = bench.worker(a_worker("w2"))
        await bench.dispatch(a_run(), assigned=W1)
        await bench.advance(5)
        assert other.heard() == []

    async def test_a_worker_that_does_not_come_has_lost_it(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(), assigned=W1)
        await bench.advance(10)
        assert planner.story == ["waits: worker_reconnecting", "lost with w1"]

    async def test_a_worker_that_is_here_without_it_has_lost_it_at_once(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
        assert worker.heard() == [Resume(T1, 3)]
        worker.release("t1")
        await bench.settled()
        assert planner.story == ["lost with w1"]
        assert isinstance(planner.events[0], WasLost)
        assert planner.events[0].message == "worker w1 does not have it"

    async def test_a_worker_that_is_here_and_never_answers_has_lost_it_in_the_end(self, bench: RouterBench) -> None:
        bench.worker()
        planner = await bench.dispatch(a_run(), assigned=W1)
        await bench.advance(10)
        assert planner.story == ["lost with w1"]

    async def test_a_worker_that_got_it_from_another_router_offers_it_and_it_goes_on(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
        worker.heard()
        worker.offer(in_hand("t1"))
        assert worker.heard() == [Resume(T1, 3)]
        worker.say("t1", 4, 5)
        worker.report("t1", 5)
        await bench.settled()
        assert planner.story == ["adopted on w1", "started", "tokens 4-5", "report after 5"]

    async def test_what_is_offered_before_its_planner_comes_waits_for_it(self, bench: RouterBench) -> None:
        worker = bench.worker()
        worker.heard()
        worker.offer(in_hand("t1"))
        assert bench.held == ["t1/1 on w1"]
        planner = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
        assert worker.heard() == [Resume(T1, 3)]
        assert planner.story == ["adopted on w1"]

    async def test_a_worker_that_offers_more_than_anyone_can_have_is_not_believed(self, bench: RouterBench) -> None:
        """What it makes up would be kept until a Planner might have come for it."""
        worker = bench.worker()
        worker.offer(*(in_hand(f"made-up-{number}", ended=number % 2 == 0) for number in range(10_000)))
        worker.heard()
        worker.offer(in_hand("one-more"))
        assert worker.heard() == [Cancel(AttemptId("one-more", 1), CancelReason.FENCED)]
        assert len(bench.held) == 10_000

    async def test_what_another_router_has_taken_over_is_let_go(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.accept("t1")
        worker.heard()
        worker.release("t1")
        await bench.settled()
        assert planner.error is not None
        assert planner.error.reason == "DISPATCH_SUPERSEDED"
        assert (bench.held, worker.heard(), len(bench.core.attempts)) == ([], [], 0)

    async def test_what_was_let_go_may_come_back(self, bench: RouterBench) -> None:
        """The Router that has taken it over dies: the run is offered here, and its Planner comes."""
        worker = bench.worker()
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.release("t1")
        worker.heard()
        worker.offer(in_hand("t1"))
        assert worker.heard() == []
        planner = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
        assert worker.heard() == [Resume(T1, 3)]
        assert planner.story == ["adopted on w1"]

    async def test_a_planner_may_come_back_to_what_was_let_go_before_its_worker_does(self, bench: RouterBench) -> None:
        worker = bench.worker()
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.release("t1")
        worker.heard()
        planner = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
        assert worker.heard() == [Resume(T1, 3)]
        worker.offer(in_hand("t1"))
        await bench.settled()
        assert planner.story == ["adopted on w1", "started"]

    async def test_another_instance_of_the_worker_does_not_count(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(), assigned=WorkerInstance("w1", "before"))
        bench.worker(a_worker())
        await bench.advance(10)
        assert planner.story == ["waits: worker_reconnecting", "lost with w1"]

    async def test_a_cancellation_waits_for_the_worker_too(self, bench: RouterBench) -> None:
        await bench.dispatch(a_run(), assigned=W1)
        bench.cancel("t1")
        worker = bench.worker(a_worker(), in_hand("t1"))
        assert worker.heard() == [Resume(T1, 0), Cancel(T1, CancelReason.REQUESTED)]

    async def test_the_decision_names_the_queue_whose_slot_it_takes(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(), assigned=W1)
        bench.worker(a_worker(queues={"other": 1}), in_hand("t1", queue="other"))
        await bench.settled()
        adopted = planner.events[1]
        assert isinstance(adopted, AssignedTo)
        assert (adopted.decision.queue, adopted.decision.reason) == ("other", "already running on w1")
        assert [(lease.worker, lease.queue) for lease in bench.core.leases] == [(W1, "other")]

    @pytest.mark.parametrize("planner_first", [True, False])
    async def test_an_ended_run_is_lost_with_a_worker_that_dies_before_it_could_report(
        self, bench: RouterBench, planner_first: bool
    ) -> None:
        if planner_first:
            planner = await bench.dispatch(a_run(), assigned=W1)
            worker = bench.worker(a_worker(), in_hand("t1", ended=True))
        else:
            worker = bench.worker(a_worker(), in_hand("t1", ended=True))
            planner = await bench.dispatch(a_run(), assigned=W1)
        worker.hang_up()
        await bench.advance(10)
        assert planner.story[-1] == "lost with w1"


async def test_what_was_given_up_never_starts_again_not_even_for_a_planner_that_did_not_know_where_it_was(
    bench: RouterBench,
) -> None:
    """Its worker may still run it, and may be the one that has a free slot."""
    bench.register(a_worker())
    bench.attach(a_worker().instance, in_hand("t1"))
    await bench.advance(bench.graces.orphan)
    worker = bench.attach(a_worker().instance, in_hand("t1"))
    planner = await bench.dispatch(a_run())
    assert [type(event) for event in planner.events] == [WasLost]
    assert worker.heard() == [Cancel(AttemptId("t1", 1), CancelReason.FENCED)]
