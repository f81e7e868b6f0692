"""What operators want of the routing, as it takes hold of what waits and what comes."""

import pytest
from devteam_router.dispatch import Waits
from devteam_router.domain import Signature, StrategyName
from devteam_router.frames import Assign
from devteam_router.ports import RoutingChanged
from devteam_router.routing import Policy, QueuePolicy, Routing, Wishes

from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import PlannerEnd, RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker

PAUSED = Wishes(queues={"default": QueuePolicy(paused=True)})


def wish(bench: RouterBench, wishes: Wishes) -> None:
    bench.core.hear(RoutingChanged(wishes))


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


def strategy_of(planner: PlannerEnd) -> StrategyName:
    return planner.events[-1].decision.strategy  # type: ignore[union-attr]  # an AssignedTo, as everybody is free


class TestPolicy:
    def test_the_settings_hold_where_nobody_wishes_anything(self) -> None:
        routing = Routing(Policy(StrategyName.ROUND_ROBIN, {"opus": ["gpu"]}, 5.0))
        assert (routing.strategy("q"), routing.locality_wait("q"), routing.paused("q")) == ("round-robin", 5.0, False)
        assert routing.preferences.queues("opus", "", ()) == ("gpu",)
        assert routing.weight("q", "t") == 1.0

    def test_the_queues_policy_goes_before_the_fleets_and_that_before_the_settings(self) -> None:
        routing = Routing(Policy(StrategyName.ROUND_ROBIN, locality_wait=5.0))
        queue = QueuePolicy(strategy=StrategyName.LOCALITY, locality_wait=0.0, tenant_weights={"t": 3.0})
        routing.wish(Wishes(strategy=StrategyName.CAPABILITY_MATCH, locality_wait=9.0, queues={"q": queue}))
        assert (routing.strategy("q"), routing.locality_wait("q"), routing.weight("q", "t")) == ("locality", 0.0, 3.0)
        assert (routing.strategy("r"), routing.locality_wait("r"), routing.weight("r", "t")) == (
            "capability-match",
            9.0,
            1.0,
        )

    def test_preferences_are_put_over_those_of_the_settings(self) -> None:
        routing = Routing(Policy(preferences={"opus": ["gpu"], "haiku": ["cpu"]}))
        routing.wish(Wishes(preferences={"opus": ("other",)}))
        assert [routing.preferences.queues(model, "", ()) for model in ("opus", "haiku")] == [("other",), ("cpu",)]
        routing.wish(Wishes())
        assert routing.preferences.queues("opus", "", ()) == ("gpu",)


class TestPause:
    async def test_nothing_of_a_paused_queue_starts_and_it_says_so(self, bench: RouterBench) -> None:
        wish(bench, PAUSED)
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        assert planner.story == ["waits: queue_paused"]
        waits = planner.events[0]
        assert isinstance(waits, Waits)
        assert waits.wait.detail == "default is paused; resume it with: devteam queue resume default"
        assert assigned(worker) == []

    async def test_what_waits_is_kept_and_starts_in_order_when_it_is_resumed(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 9}))
        wish(bench, PAUSED)
        for n in range(4):
            await bench.dispatch(a_run(f"t{n}", priority=5 - n, signature=a_signature(model=f"m{n % 2}")))
        wish(bench, Wishes())
        assert assigned(worker) == ["t3", "t2", "t1", "t0"]

    async def test_what_waited_before_hears_of_the_pause(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("runs"))
        planner = await bench.dispatch(a_run("waits"))
        wish(bench, PAUSED)
        worker.report("runs")
        await bench.settled()
        assert planner.story == ["waits: all_slots_busy", "waits: queue_paused"]
        wish(bench, Wishes())
        await bench.settled()
        assert planner.story[-1] == "assigned to w1"

    async def test_what_runs_runs_on(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        wish(bench, PAUSED)
        worker.accept("t1")
        worker.say("t1", 1, 3)
        worker.report("t1", 3)
        await bench.settled()
        assert planner.story == ["assigned to w1", "started", "tokens 1-3", "report after 3"]

    async def test_other_queues_of_a_worker_go_on(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1, "other": 1}))
        wish(bench, PAUSED)
        await bench.dispatch(a_run("t1"))
        await bench.dispatch(a_run("t2", signature=a_signature("other")))
        assert assigned(worker) == ["t2"]

    async def test_a_run_spills_over_to_its_next_queue_while_the_first_is_paused(self, bench: RouterBench) -> None:
        bench.worker(a_worker("first", queues={"default": 1}))
        bench.worker(a_worker("second", queues={"spill": 1}))
        wish(bench, PAUSED)
        planner = await bench.dispatch(a_run(signature=a_signature("default", "spill")))
        assert planner.story == ["assigned to second"]

    async def test_one_that_is_rejected_meanwhile_waits_for_the_end_of_the_pause(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        wish(bench, PAUSED)
        worker.reject("t1")
        await bench.advance(5)
        assert planner.story == ["assigned to w1", "waits: queue_paused"]
        wish(bench, Wishes())
        await bench.settled()
        assert planner.story[-1] == "assigned to w1"


class TestStrategies:
    async def test_a_run_decides_then_its_queue_then_the_fleet_then_the_settings(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"default": 9, "other": 9}))
        in_turn = {"default": QueuePolicy(strategy=StrategyName.ROUND_ROBIN)}
        told = [strategy_of(await bench.dispatch(a_run("t0")))]
        wish(bench, Wishes(strategy=StrategyName.CAPABILITY_MATCH, queues=in_turn))
        told.append(strategy_of(await bench.dispatch(a_run("t1", signature=a_signature("other")))))
        told.append(strategy_of(await bench.dispatch(a_run("t2"))))
        named = a_signature(strategy=StrategyName.LOCALITY)
        told.append(strategy_of(await bench.dispatch(a_run("t3", signature=named))))
        assert told == ["least-loaded", "capability-match", "round-robin", "locality"]

    async def test_another_strategy_holds_for_what_waits(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("runs"))
        planner = await bench.dispatch(a_run("waits"))
        wish(bench, Wishes(strategy=StrategyName.ROUND_ROBIN))
        worker.report("runs")
        await bench.settled()
        assert strategy_of(planner) == "round-robin"


def by_preference(bench: RouterBench, model: str = "opus") -> Signature:
    """The signature of a run that leaves its queue to the fleet's preferences."""
    return a_signature(*bench.core.preferences.queues(model, "", ()), model=model, preferred=True)


class TestPreferences:
    async def test_what_waits_moves_to_the_queues_that_hold_now(self, bench: RouterBench) -> None:
        planners = [await bench.dispatch(a_run(f"t{n}", signature=by_preference(bench))) for n in range(3)]
        worker = bench.worker(a_worker(queues={"gpu": 9}))
        assert assigned(worker) == []
        wish(bench, Wishes(preferences={"opus": ("gpu", "default")}))
        assert assigned(worker) == ["t0", "t1", "t2"]
        await bench.settled()
        assert planners[0].story == ["waits: no_worker_in_queue", "assigned to w1"]

    async def test_it_waits_on_there_and_says_where(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(signature=by_preference(bench)))
        wish(bench, Wishes(preferences={"opus": ("gpu",)}))
        await bench.settled()
        assert [event.queue for event in planner.events if isinstance(event, Waits)] == ["default", "gpu"]
        assert (bench.core.lines.waiting_in("default"), bench.core.lines.waiting_in("gpu")) == (0, 1)

    async def test_it_has_waited_since_it_came(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run(signature=by_preference(bench)))
        await bench.advance(5)
        wish(bench, Wishes(preferences={"opus": ("gpu",)}))
        bench.worker(a_worker(queues={"gpu": 1}))
        await bench.settled()
        assert planner.events[-1].decision.waited == 5  # type: ignore[union-attr]  # an AssignedTo

    async def test_it_can_still_be_cancelled_and_be_out_of_time(self, bench: RouterBench) -> None:
        cancelled = await bench.dispatch(a_run("t1", signature=by_preference(bench)))
        late = await bench.dispatch(a_run("t2", signature=by_preference(bench), schedule_within=5))
        wish(bench, Wishes(preferences={"opus": ("gpu",)}))
        bench.cancel("t1")
        await bench.advance(5)
        assert (cancelled.story[-1], late.story[-1]) == ("cancelled", "out of time")
        assert len(bench.core.lines) == 0

    async def test_whoever_named_a_queue_stays_there(self, bench: RouterBench) -> None:
        named = await bench.dispatch(a_run(signature=a_signature(model="opus")))
        wish(bench, Wishes(preferences={"opus": ("gpu",)}))
        bench.worker(a_worker(queues={"gpu": 9}))
        await bench.settled()
        assert named.story == ["waits: no_worker_in_queue"]

    async def test_order_is_kept_on_the_way(self, bench: RouterBench) -> None:
        """Over all lines, not only within each."""
        for n in range(6):
            await bench.dispatch(a_run(f"t{n}", signature=by_preference(bench, f"m{n % 2}")))
        wish(bench, Wishes(preferences={"m*": ("gpu",)}))
        worker = bench.worker(a_worker(queues={"gpu": 1}))
        order = []
        for _ in range(6):
            (task_id,) = assigned(worker)
            order.append(task_id)
            worker.report(task_id)
        assert order == [f"t{n}" for n in range(6)]

    async def test_one_that_was_rejected_after_the_change_goes_where_it_would_go_now(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run(signature=by_preference(bench)))
        wish(bench, Wishes(preferences={"opus": ("gpu",)}))
        bench.worker(a_worker("w2", queues={"gpu": 1}))
        worker.reject("t1")
        await bench.settled()
        assert planner.story == ["assigned to w1", "assigned to w2"]

    @pytest.mark.parametrize("paused", [False, True])
    async def test_tables_are_clean_after_many_changes(self, clock: FakeClock, paused: bool) -> None:
        bench = RouterBench(clock, policy=Policy(preferences={"opus": ["a"]}))
        for n in range(20):
            await bench.dispatch(a_run(f"t{n}", signature=by_preference(bench), priority=1 + n % 5))
            queue = f"q{n % 3}"
            wish(
                bench,
                Wishes(preferences={"opus": (queue,)}, queues={queue: QueuePolicy(paused=paused and bool(n % 2))}),
            )
        assert len(bench.core.lines) == 20
        assert await bench.wind_down() == []
