"""A waiting run meets a free slot, or hears why it does not."""

from collections import Counter
from dataclasses import replace

import pytest
from devteam_router.dispatch import Waits
from devteam_router.domain import (
    AttemptId,
    Availability,
    Requirements,
    StrategyName,
    WorkerQueue,
    WorkerState,
)
from devteam_router.frames import Assign, RejectReason
from devteam_router.ports import WorkerRemoved

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker


class TestCapacity:
    async def test_no_worker_gets_more_than_a_queue_of_it_allows(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"a": 2, "b": 1}))
        for n in range(3):
            await bench.dispatch(a_run(f"a{n}", signature=a_signature("a")))
            await bench.dispatch(a_run(f"b{n}", signature=a_signature("b")))
        assert bench.held == ["a0/1 on w1", "a1/1 on w1", "b0/1 on w1"]
        assert len(worker.heard()) == 3

    async def test_nor_more_than_it_allows_over_all_queues(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"a": 2, "b": 2}, concurrency=3))
        for n in range(2):
            await bench.dispatch(a_run(f"a{n}", signature=a_signature("a")))
        assert bench.held == ["a0/1 on w1", "a1/1 on w1"]
        for n in range(2):
            await bench.dispatch(a_run(f"b{n}", signature=a_signature("b")))
        assert bench.held == ["a0/1 on w1", "a1/1 on w1", "b0/1 on w1"]

    async def test_a_freed_slot_serves_the_line(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        for n in range(3):
            await bench.dispatch(a_run(f"t{n}"))
        worker.heard()
        worker.report("t0")
        assert worker.heard() == [Assign(a_run("t1"), "default")]
        worker.report("t1")
        assert worker.heard() == [Assign(a_run("t2"), "default")]
        assert bench.held == ["t2/1 on w1"]

    async def test_a_worker_that_comes_serves_all_lines_by_priority_then_arrival(self, bench: RouterBench) -> None:
        for task_id, model, priority in (
            ("late", "haiku", 5),
            ("second", "opus", 3),
            ("third", "haiku", 3),
            ("first", "haiku", 1),
        ):
            await bench.dispatch(a_run(task_id, signature=a_signature(model=model), priority=priority))
        worker = bench.worker(a_worker(queues={"default": 3}))
        assert [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)] == [
            "first",
            "second",
            "third",
        ]
        assert len(bench.core.lines) == 1

    async def test_more_slots_by_the_operators_wish_are_used_at_once(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"default": 1}))
        for n in range(3):
            await bench.dispatch(a_run(f"t{n}"))
        bench.register(a_worker(queues={"default": 3}))
        assert bench.held == ["t0/1 on w1", "t1/1 on w1", "t2/1 on w1"]


class TestPreferredQueues:
    async def test_runs_spill_over_in_the_order_of_their_queues(self, bench: RouterBench) -> None:
        bench.worker(a_worker("first", queues={"a": 1}))
        bench.worker(a_worker("second", queues={"b": 1}))
        bench.worker(a_worker("third", queues={"c": 1}))
        for n in range(4):
            await bench.dispatch(a_run(f"t{n}", signature=a_signature("b", "a", "c")))
        assert bench.held == ["t0/1 on second", "t1/1 on first", "t2/1 on third"]

    @pytest.mark.parametrize("queues", [("a", "b"), ("b", "a")])
    async def test_a_slot_that_comes_free_is_taken_out_of_the_first_queue_too(
        self, bench: RouterBench, queues: tuple[str, str]
    ) -> None:
        worker = bench.worker(a_worker(queues={"a": 1, "b": 1}, concurrency=1))
        await bench.dispatch(a_run("before", signature=a_signature("a")))
        await bench.dispatch(a_run(signature=a_signature(*queues)))
        worker.heard()
        worker.report("before")
        assert worker.heard() == [Assign(a_run(signature=a_signature(*queues)), queues[0])]

    async def test_a_slot_in_any_of_the_queues_will_do(self, bench: RouterBench) -> None:
        await bench.dispatch(a_run(signature=a_signature("a", "b")))
        worker = bench.worker(a_worker(queues={"b": 1}))
        assert worker.heard() == [Assign(a_run(signature=a_signature("a", "b")), "b")]


class TestStrategies:
    async def test_the_routers_default_holds_unless_the_run_says_otherwise(self, bench: RouterBench) -> None:
        bench.worker(a_worker("large", queues={"default": 9}))
        bench.worker(a_worker("small", queues={"default": 8}))
        by_default = [await bench.dispatch(a_run("t1"))]
        in_turn = a_signature(strategy=StrategyName.ROUND_ROBIN)
        by_wish = [await bench.dispatch(a_run(f"r{n}", signature=in_turn)) for n in range(2)]
        assert [planner.story for planner in by_default] == [["assigned to large"]]
        assert Counter(planner.story[0] for planner in by_wish) == {"assigned to large": 1, "assigned to small": 1}

    async def test_ties_are_broken_evenly(self, bench: RouterBench) -> None:
        for n in range(4):
            bench.worker(a_worker(f"w{n}", queues={"default": 1}))
        for n in range(4):
            await bench.dispatch(a_run(f"t{n}"))
        assert sorted(lease.worker.worker_id for lease in bench.core.leases) == ["w0", "w1", "w2", "w3"]

    async def test_the_decision_says_why_how_many_and_how_long(self, bench: RouterBench) -> None:
        planner = await bench.dispatch(a_run())
        await bench.advance(2.5)
        bench.worker(a_worker(queues={"default": 3}))
        await bench.settled()
        assigned = bench.core.explainer.task("t1").standing
        assert planner.events[-1] == assigned
        decision = planner.events[-1].decision  # type: ignore[union-attr]  # an AssignedTo, as its story says
        assert decision.reason == "placed on w1 by least-loaded because it was the least loaded of 1 (0/3)"
        assert (decision.strategy, decision.queue, decision.eligible, decision.waited) == (
            StrategyName.LEAST_LOADED,
            "default",
            1,
            2.5,
        )


ONLY_OPUS = {"default": WorkerQueue("default", 1, ("opus",))}


class TestReasons:
    @pytest.mark.parametrize(
        ("worker", "connected", "reason", "detail"),
        [
            (None, False, "no_worker_in_queue", "no worker serves default; start one with: devteam-worker start "),
            (
                a_worker(queues=ONLY_OPUS),
                True,
                "no_worker_serves_model",
                "no worker in default serves the model haiku",
            ),
            (
                a_worker(labels={"disk": "hdd"}),
                True,
                "no_worker_meets_requirements",
                "no worker in default that serves haiku has what the task requires",
            ),
            (
                a_worker(labels={"disk": "ssd"}),
                False,
                "no_worker_available",
                "every worker in default that could run it is unhealthy, cordoned, draining or disconnected",
            ),
        ],
        ids=["queue", "model", "requirements", "available"],
    )
    async def test_the_filter_that_left_nobody_is_the_reason(
        self, bench: RouterBench, worker: object, connected: bool, reason: str, detail: str
    ) -> None:
        if connected:
            bench.worker(worker)  # type: ignore[arg-type]  # None comes with connected=False only
        elif worker is not None:
            bench.register(worker)  # type: ignore[arg-type]  # a Worker, as above
        signature = a_signature(requirements=Requirements(labels=(("disk", "ssd"),)))
        planner = await bench.dispatch(a_run(signature=signature))
        assert planner.story == [f"waits: {reason}"]
        waits = planner.events[0]
        assert isinstance(waits, Waits)
        assert waits.wait.detail.startswith(detail)
        assert waits.queue == "default"

    async def test_the_furthest_that_any_worker_came_decides(self, bench: RouterBench) -> None:
        bench.worker(a_worker("w1", queues=ONLY_OPUS))
        bench.register(a_worker("w2", state=WorkerState.UNHEALTHY))
        planner = await bench.dispatch(a_run(signature=a_signature("nowhere", "default")))
        assert planner.story == ["waits: no_worker_available"]

    async def test_a_full_fleet_is_busy(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("t1"))
        planner = await bench.dispatch(a_run("t2"))
        assert planner.story == ["waits: all_slots_busy"]

    async def test_every_change_of_the_reason_is_told_once_to_everyone_in_line(self, bench: RouterBench) -> None:
        signature = a_signature(requirements=Requirements(labels=(("disk", "ssd"),)))
        planners = [await bench.dispatch(a_run(f"t{n}", signature=signature)) for n in range(2)]
        bench.register(a_worker(queues=ONLY_OPUS))
        bench.register(a_worker())
        bench.register(a_worker(labels={"disk": "ssd"}))
        bench.register(a_worker(labels={"disk": "ssd"}, state=WorkerState.SUSPECT))
        bench.register(a_worker(labels={"disk": "ssd"}))
        bench.worker(a_worker(queues={"default": 1}, labels={"disk": "ssd"}))
        await bench.settled()
        waits = [
            "waits: no_worker_in_queue",
            "waits: no_worker_serves_model",
            "waits: no_worker_meets_requirements",
            "waits: no_worker_available",
        ]
        assert planners[0].story == [*waits, "assigned to w1"]
        assert planners[1].story == [*waits, "waits: all_slots_busy"]

    async def test_a_worker_that_leaves_a_queue_changes_the_reason(self, bench: RouterBench) -> None:
        bench.register(a_worker(queues={"default": 1}))
        planner = await bench.dispatch(a_run())
        bench.register(a_worker(queues={"other": 1}))
        await bench.settled()
        bench.register(a_worker(queues={"default": 1}))
        await bench.settled()
        bench.core.hear(WorkerRemoved("w1"))
        await bench.settled()
        assert planner.story == [
            "waits: no_worker_available",
            "waits: no_worker_in_queue",
            "waits: no_worker_available",
            "waits: no_worker_in_queue",
        ]

    async def test_the_newcomer_in_a_line_hears_why_it_waits_and_the_others_hear_nothing_new(
        self, bench: RouterBench
    ) -> None:
        first = await bench.dispatch(a_run("t1"))
        behind = await bench.dispatch(a_run("t2"))
        ahead = await bench.dispatch(a_run("t3", priority=1))
        assert [planner.story for planner in (first, behind, ahead)] == [["waits: no_worker_in_queue"]] * 3


class TestAvailability:
    @pytest.mark.parametrize("availability", [Availability.CORDONED, Availability.DRAINING])
    async def test_a_worker_that_takes_no_work_gets_none_until_it_is_open_again(
        self, bench: RouterBench, availability: Availability
    ) -> None:
        worker = bench.worker(a_worker(availability=availability))
        planner = await bench.dispatch(a_run())
        assert planner.story == ["waits: no_worker_available"]
        worker.heard()
        bench.register(a_worker())
        assert worker.heard() == [Assign(a_run(), "default")]

    async def test_a_disconnected_worker_gets_none_until_it_attaches(self, bench: RouterBench) -> None:
        bench.register(a_worker())
        planner = await bench.dispatch(a_run())
        assert planner.story == ["waits: no_worker_available"]
        worker = bench.attach(a_worker().instance)
        assert worker.heard() == [Assign(a_run(), "default")]


class TestRefusals:
    async def test_a_worker_that_refused_is_not_asked_again_until_it_is_forgiven(self, bench: RouterBench) -> None:
        worker = bench.worker()
        planner = await bench.dispatch(a_run())
        worker.reject("t1")
        assert worker.heard() == [Assign(a_run(), "default")]
        assert bench.held == []
        await bench.advance(bench.graces.refusal - 0.01)
        assert worker.heard() == []
        await bench.advance(0.01)
        assert worker.heard() == [Assign(a_run(), "default")]
        assert planner.story == ["assigned to w1", "waits: all_slots_busy", "assigned to w1"]

    async def test_two_workers_that_refuse_are_asked_once_each_until_forgiven(self, bench: RouterBench) -> None:
        workers = [bench.worker(a_worker(f"w{n}")) for n in range(2)]
        await bench.dispatch(a_run())
        for _ in range(5):
            for worker in workers:
                worker.reject("t1")
        asked = [[frame for frame in worker.heard() if isinstance(frame, Assign)] for worker in workers]
        assert asked == [[Assign(a_run(), "default")], [Assign(a_run(), "default")]]

    async def test_a_refusal_concerns_one_run_only_and_frees_the_slot_for_other_lines(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("t1"))
        await bench.dispatch(a_run("t2", signature=a_signature(model="opus")))
        worker.heard()
        worker.reject("t1")
        assert worker.heard() == [Assign(a_run("t2", signature=a_signature(model="opus")), "default")]

    async def test_a_refusal_concerns_all_runs_like_it(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("t1"))
        await bench.dispatch(a_run("t2"))
        worker.heard()
        worker.reject("t1")
        assert worker.heard() == []
        await bench.advance(bench.graces.refusal)
        assert worker.heard() == [Assign(a_run("t1"), "default")]

    @pytest.mark.parametrize("reason", [RejectReason.BUSY, RejectReason.DRAINING])
    async def test_a_worker_that_minds_anything_is_left_alone_altogether(
        self, bench: RouterBench, reason: RejectReason
    ) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await bench.dispatch(a_run("t1"))
        await bench.dispatch(a_run("t2", signature=a_signature(model="opus")))
        worker.heard()
        worker.reject("t1", reason=reason)
        assert worker.heard() == []
        await bench.advance(bench.graces.refusal)
        assert worker.heard() == [Assign(a_run("t1"), "default")]


async def test_weighing_changes_nothing_and_names_every_worker(bench: RouterBench) -> None:
    bench.worker(a_worker("busy", queues={"default": 1}))
    await bench.dispatch(a_run("t1"))
    bench.worker(a_worker("cordoned", availability=Availability.CORDONED))
    bench.worker(a_worker("full", queues={"default": 2, "other": 1}, concurrency=1))
    await bench.dispatch(a_run("t2", signature=a_signature("other")))
    bench.worker(a_worker("small", queues=ONLY_OPUS))
    bench.worker(a_worker("free"))

    explanation = bench.core.explainer.dry_run(a_signature(), 0.0)

    assert {candidate.worker.id: candidate.rejected_because for candidate in explanation.candidates} == {
        "free": "",
        "busy": "all 1 slots of default are busy",
        "cordoned": "is cordoned",
        "full": "all its 1 slots are busy",
        "small": "does not serve haiku in default",
    }
    assert bench.held == ["t1/1 on busy", "t2/1 on full"]


async def test_a_refusal_is_named_too(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run())
    worker.reject("t1")
    candidates = bench.core.explainer.task("t1").candidates
    assert [candidate.rejected_because for candidate in candidates] == ["refused it a moment ago"]


async def test_withdrawing_what_does_not_wait_says_so(bench: RouterBench) -> None:
    assert not bench.core.matcher.withdraw(AttemptId("t1", 1))


class TestLongLines:
    async def test_a_long_line_hears_in_portions_and_only_the_last_news(self, bench: RouterBench) -> None:
        """So that nobody else has to wait until all of them have heard."""
        planners = [await bench.dispatch(a_run(f"t{n}")) for n in range(1_001)]
        await bench.advance(0.0)
        bench.register(a_worker(queues=ONLY_OPUS))
        await bench.settled()
        heard = [planner.story[-1] for planner in planners]
        assert Counter(heard) == {"waits: no_worker_serves_model": 500, "waits: no_worker_in_queue": 501}
        bench.register(a_worker())
        for _ in range(3):
            await bench.advance(0.0)
        assert {planner.story[-1] for planner in planners} == {"waits: no_worker_available"}
        assert [len(planner.story) for planner in planners] == [3] * 500 + [2] * 501

    async def test_many_short_lines_hear_in_portions_as_well(self, bench: RouterBench) -> None:
        signatures = [replace(a_signature(), requirements=Requirements(min_ram_gb=n)) for n in range(1, 701)]
        planners = [await bench.dispatch(a_run(f"t{n}", signature=signatures[n])) for n in range(700)]
        for _ in range(3):
            await bench.advance(0.0)
        bench.register(a_worker(queues=ONLY_OPUS))
        await bench.settled()
        told = "waits: no_worker_serves_model"
        assert Counter(planner.story[-1] == told for planner in planners) == {True: 500, False: 200}
        await bench.advance(0.0)
        assert all(planner.story[-1] == told for planner in planners)

    async def test_whoever_was_placed_meanwhile_hears_nothing_more(self, bench: RouterBench) -> None:
        planners = [await bench.dispatch(a_run(f"t{n}")) for n in range(600)]
        bench.register(a_worker(queues=ONLY_OPUS))
        bench.cancel("t599")
        await bench.advance(0.0)
        assert planners[598].story == ["waits: no_worker_in_queue", "waits: no_worker_serves_model"]
        assert planners[599].story == ["waits: no_worker_in_queue", "cancelled"]
