"""Runs that wait for a moment rather than for a worker."""

from datetime import timedelta

import pytest
from devteam_router.dispatch import Reported, Waits
from devteam_router.domain import StrategyName
from devteam_router.frames import Assign
from devteam_router.ports import RoutersChanged, RoutingChanged
from devteam_router.routing import ModelLimit, QueuePolicy, Wishes

from tests.fakes.router_bench import PlannerEnd, RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker

OPUS = a_signature(model="opus")


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


def last_wait(planner: PlannerEnd) -> Waits:
    waits = planner.events[-1]
    assert isinstance(waits, Waits)
    return waits


def limit(bench: RouterBench, *limits: ModelLimit) -> None:
    bench.core.hear(RoutingChanged(Wishes(limits=limits)))


async def throttled(bench: RouterBench, seconds: float = 30.0) -> WorkerEnd:
    """A worker with plenty of room, whose provider just asked for patience."""
    worker = bench.worker(a_worker(queues={"default": 20}))
    planner = await bench.dispatch(a_run("refused", signature=OPUS))
    worker.accept("refused")
    worker.hand_back("refused", seconds)
    await bench.settled()
    assert isinstance(planner.events[-1], Reported)
    worker.heard()
    return worker


class TestThrottle:
    async def test_nothing_of_the_model_is_assigned_until_its_end_and_then_all_in_order(
        self, bench: RouterBench
    ) -> None:
        worker = await throttled(bench)
        planners = [await bench.dispatch(a_run(f"t{n}", signature=OPUS, priority=5 - n)) for n in range(4)]
        assert [planner.story for planner in planners] == [["waits: provider_throttled"]] * 4
        await bench.advance(29.9)
        assert assigned(worker) == []
        await bench.advance(0.1)
        assert assigned(worker) == ["t3", "t2", "t1", "t0"]
        assert planners[0].story == ["waits: provider_throttled", "assigned to w1"]

    async def test_the_end_is_told(self, bench: RouterBench) -> None:
        await throttled(bench)
        wait = last_wait(await bench.dispatch(a_run(signature=OPUS))).wait
        assert wait.until == bench.clock.now() + timedelta(seconds=30)
        assert wait.detail == "nothing of opus starts anywhere for now: anthropic said 429"

    async def test_it_burns_no_attempt(self, bench: RouterBench) -> None:
        """The Planner dispatches the next one at once, which waits here and not there."""
        worker = await throttled(bench)
        again = await bench.dispatch(a_run("refused", 2, signature=OPUS))
        await bench.advance(30)
        assert again.story == ["waits: provider_throttled", "assigned to w1"]
        assert assigned(worker) == ["refused"]

    async def test_other_models_go_on(self, bench: RouterBench) -> None:
        worker = await throttled(bench)
        await bench.dispatch(a_run("opus", signature=OPUS))
        await bench.dispatch(a_run("haiku"))
        assert assigned(worker) == ["haiku"]

    async def test_a_slot_that_comes_free_meanwhile_is_not_offered(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 2}))
        for task_id in ("refused", "fine"):
            await bench.dispatch(a_run(task_id, signature=OPUS))
        waiting = await bench.dispatch(a_run("waiting", signature=OPUS))
        worker.heard()
        worker.hand_back("refused", 30)
        worker.report("fine")
        bench.worker(a_worker("newcomer"))
        await bench.settled()
        assert assigned(worker) == []
        assert waiting.story == ["waits: all_slots_busy", "waits: provider_throttled"]

    async def test_a_longer_wish_is_told_and_a_shorter_one_is_not(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 4}))
        for task_id in ("first", "shorter", "longer"):
            await bench.dispatch(a_run(task_id, signature=OPUS))
        worker.heard()
        worker.hand_back("first", 30)
        waiting = await bench.dispatch(a_run("waiting", signature=OPUS))
        worker.hand_back("shorter", 10)
        worker.hand_back("longer", 60)
        await bench.settled()
        assert waiting.story == ["waits: provider_throttled"] * 2
        await bench.advance(59)
        assert assigned(worker) == []
        await bench.advance(1)
        assert assigned(worker) == ["waiting"]

    async def test_a_run_that_is_late_for_it_is_out_of_time(self, bench: RouterBench) -> None:
        worker = await throttled(bench)
        planner = await bench.dispatch(a_run(signature=OPUS, schedule_within=10))
        await bench.advance(30)
        assert planner.story == ["waits: provider_throttled", "out of time"]
        assert assigned(worker) == []

    async def test_a_run_that_is_cancelled_meanwhile_starts_nowhere(self, bench: RouterBench) -> None:
        worker = await throttled(bench)
        planner = await bench.dispatch(a_run(signature=OPUS))
        bench.cancel("t1")
        await bench.advance(30)
        assert planner.story == ["waits: provider_throttled", "cancelled"]
        assert assigned(worker) == []

    @pytest.mark.parametrize("seconds", [29.0, 30.0, 31.0, 90.0])
    async def test_a_run_that_comes_while_the_loop_is_behind_waits_or_starts_like_any_other(
        self, bench: RouterBench, seconds: float
    ) -> None:
        """The throttle may be over and its timer not have fired yet."""
        worker = await throttled(bench)
        await bench.dispatch(a_run("first", signature=OPUS))
        bench.clock.stall(seconds)
        late = await bench.dispatch(a_run("late", signature=OPUS, tenant="other"))
        await bench.advance(30)
        assert sorted(assigned(worker)) == ["first", "late"]
        assert late.error is None

    async def test_an_adopted_run_that_is_handed_back_throttles_too(self, bench: RouterBench) -> None:
        """A Router that has just started learns of it as well."""
        worker = await throttled(bench)
        assert [throttle.model for throttle in bench.core.gates.throttles()] == ["opus"]
        bench.core.matcher.throttle("haiku", 5, "another router heard it")
        planner = await bench.dispatch(a_run())
        await bench.advance(5)
        assert planner.story == ["waits: provider_throttled", "assigned to w1"]
        assert assigned(worker) == ["t1"]


class TestLimits:
    async def test_runs_start_as_often_as_they_may(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 6))
        worker = bench.worker(a_worker(queues={"default": 50}))
        planners = [await bench.dispatch(a_run(f"t{n}")) for n in range(4)]
        assert planners[1].story == ["waits: rate_limited"]
        assert last_wait(planners[1]).wait.until == bench.clock.now() + timedelta(seconds=10)
        started = [assigned(worker)]
        for _ in range(3):
            await bench.advance(10)
            started.append(assigned(worker))
        assert started == [["t0"], ["t1"], ["t2"], ["t3"]]

    async def test_a_seconds_worth_starts_at_once(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 300))
        worker = bench.worker(a_worker(queues={"default": 50}))
        for n in range(12):
            await bench.dispatch(a_run(f"t{n}"))
        assert len(assigned(worker)) == 5
        await bench.advance(1.001)
        assert len(assigned(worker)) == 5

    async def test_tenants_take_turns_at_a_limit(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 60))
        worker = bench.worker(a_worker(queues={"default": 50}))
        for tenant in ("a", "b"):
            for n in range(4):
                await bench.dispatch(a_run(f"{tenant}{n}", tenant=tenant))
        await bench.advance(7)
        tenants = [task_id[0] for task_id in assigned(worker)]
        assert len(tenants) == 8
        assert all(abs(tenants[:n].count("a") - tenants[:n].count("b")) <= 2 for n in range(9))

    async def test_a_queue_at_its_limit_spills_over_to_the_next(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "a", 1))
        bench.worker(a_worker("first", queues={"a": 9}))
        bench.worker(a_worker("second", queues={"b": 9}))
        for n in range(3):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature("a", "b")))
        assert bench.held == ["t0/1 on first", "t1/1 on second", "t2/1 on second"]

    async def test_a_free_slot_of_another_queue_is_taken_while_the_limit_of_the_first_holds(
        self, bench: RouterBench
    ) -> None:
        limit(bench, ModelLimit("haiku", "a", 1))
        bench.worker(a_worker("first", queues={"a": 9}))
        for n in range(2):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature("a", "b")))
        assert bench.held == ["t0/1 on first"]
        bench.worker(a_worker("second", queues={"b": 9}))
        assert bench.held == ["t0/1 on first", "t1/1 on second"]

    async def test_a_limit_that_is_taken_back_lets_everything_start_at_once(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 1))
        worker = bench.worker(a_worker(queues={"default": 50}))
        for n in range(5):
            await bench.dispatch(a_run(f"t{n}"))
        limit(bench)
        assert assigned(worker) == [f"t{n}" for n in range(5)]

    async def test_a_limit_that_is_raised_counts_at_once(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 1))
        worker = bench.worker(a_worker(queues={"default": 50}))
        for n in range(5):
            await bench.dispatch(a_run(f"t{n}"))
        limit(bench, ModelLimit("haiku", "", 120))
        assert len(assigned(worker)) >= 2
        await bench.advance(2)
        assert len(bench.held) == 5

    async def test_what_is_rejected_counts_as_a_start_and_waits_for_the_next(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("haiku", "", 6))
        worker = bench.worker(a_worker(queues={"default": 5}))
        planner = await bench.dispatch(a_run())
        worker.reject("t1")
        await bench.advance(10)
        assert planner.story == ["assigned to w1", "waits: rate_limited", "assigned to w1"]

    async def test_routers_share_a_limit(self, bench: RouterBench) -> None:
        bench.core.hear(RoutersChanged({"router-1": "h:1", "router-2": "h:2"}))
        limit(bench, ModelLimit("haiku", "", 6))
        worker = bench.worker(a_worker(queues={"default": 50}))
        for n in range(2):
            await bench.dispatch(a_run(f"t{n}"))
        await bench.advance(19.9)
        assert assigned(worker) == ["t0"]
        await bench.advance(0.1)
        assert assigned(worker) == ["t1"]

    async def test_a_throttle_and_a_limit_both_have_to_open(self, bench: RouterBench) -> None:
        limit(bench, ModelLimit("opus", "", 1))
        worker = await throttled(bench, 30)
        planner = await bench.dispatch(a_run(signature=OPUS))
        await bench.advance(30)
        assert planner.story == ["waits: provider_throttled", "waits: rate_limited"]
        await bench.advance(30)
        assert assigned(worker) == ["t1"]


async def test_when_wishes_open_a_limit_and_a_paused_queue_at_once_the_most_urgent_goes_first(
    bench: RouterBench,
) -> None:
    """Though only the others were behind a gate."""
    limited, paused = ModelLimit("haiku", "a", 1), {"b": QueuePolicy(paused=True)}
    bench.core.hear(RoutingChanged(Wishes(limits=(limited,), queues=paused)))
    bench.worker(a_worker("first", queues={"a": 1}))
    await bench.dispatch(a_run("t0", signature=a_signature("a")))
    worker = bench.worker(a_worker("second", queues={"b": 1, "a": 1}, concurrency=1))
    await bench.dispatch(a_run("later", signature=a_signature("a", "b"), priority=5))
    await bench.dispatch(a_run("urgent", signature=a_signature("b"), priority=1))
    bench.core.hear(RoutingChanged(Wishes()))
    assert assigned(worker) == ["urgent"]


class TestNothingStays:
    async def test_lines_that_are_gone_are_behind_no_gate(self, bench: RouterBench) -> None:
        """A provider may want a day of patience, and runs have less of it."""
        bench.core.matcher.throttle("opus", 86_400, "come back tomorrow")
        for n in range(20):
            await bench.dispatch(a_run(f"t{n}", signature=OPUS, tenant=f"tenant-{n}", schedule_within=5))
            await bench.advance(6)
        assert (bench.core.matcher._holds._behind, bench.core.matcher._holds._alarms) == ({}, {})

    async def test_a_line_waits_for_one_near_worker_at_a_time(self, bench: RouterBench) -> None:
        """However many heads it had while the far one had room."""
        bench.core.hear(RoutingChanged(Wishes(strategy=StrategyName.LOCALITY, locality_wait=600)))
        near = bench.worker(a_worker("near", queues={"default": 1}, data_sources=frozenset({"papers"})))
        bench.worker(a_worker("far"))
        for n in range(10):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature(near_data_source="papers")))
            await bench.advance(0.1)
        for n in range(8):
            near.report(f"t{n}")
            bench.core.matcher.slot_freed("far")
        assert len(bench.core.matcher._holds._behind) == 1
