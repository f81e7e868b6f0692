"""What the Router takes no more of: full, overrun, or about to stop."""

from devteam_router.dispatch import WasLost
from devteam_router.domain import AttemptId
from devteam_router.frames import Cancel, CancelReason
from devteam_router.graces import Graces

from devteam.mesh.errors import ResourceExhausted, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker

T1 = AttemptId("t1", 1)


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
