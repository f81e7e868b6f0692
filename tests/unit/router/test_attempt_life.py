"""An attempt from its dispatch to its end, while every line holds."""

from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, ReportAck, Resume, TokensAck

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker

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
