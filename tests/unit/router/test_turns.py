"""Who is next when a slot comes free: priority, then the tenant's share, then arrival."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from devteam_router.domain import WorkerQueue
from devteam_router.frames import Assign
from devteam_router.ports import RoutingChanged
from devteam_router.routing import QueuePolicy, Wishes

from tests.fakes.router_bench import RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


def work_off(worker: WorkerEnd, runs: int) -> list[str]:
    """Let a worker of one slot finish one run after the other; the tasks in the order in which it was given them."""
    order: list[str] = []
    for _ in range(runs):
        (task_id,) = assigned(worker)
        order.append(task_id)
        worker.report(task_id)
    return order


async def one_slot(bench: RouterBench) -> WorkerEnd:
    """A worker of one slot that is busy with something else."""
    worker = bench.worker(a_worker(queues={"default": 1}))
    await bench.dispatch(a_run("something-else", tenant="nobody"))
    assigned(worker)
    return worker


async def dispatched(bench: RouterBench, *task_ids: str, **rest: Any) -> None:
    for task_id in task_ids:
        await bench.dispatch(a_run(task_id, **rest))


def numbered(name: str, count: int) -> Sequence[str]:
    return [f"{name}{n}" for n in range(count)]


class TestOrder:
    async def test_one_is_before_five_whenever_it_came(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        for priority in (5, 3, 1, 4, 2):
            await dispatched(bench, f"p{priority}", priority=priority)
        worker.report("something-else")
        assert work_off(worker, 5) == ["p1", "p2", "p3", "p4", "p5"]

    async def test_an_urgent_run_of_a_greedy_tenant_is_before_others_that_are_not(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        await dispatched(bench, *numbered("greedy", 3), tenant="greedy")
        await dispatched(bench, "modest", tenant="modest")
        worker.report("something-else")
        first = work_off(worker, 1)
        await dispatched(bench, "urgent", tenant="greedy", priority=1)
        assert first == ["greedy0"]
        assert work_off(worker, 2) == ["modest", "urgent"]

    async def test_equals_go_in_the_order_in_which_they_came_whatever_their_model(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        for n in range(6):
            await dispatched(bench, f"t{n}", signature=a_signature(model=("opus", "haiku", "sonnet")[n % 3]))
        worker.report("something-else")
        assert work_off(worker, 6) == numbered("t", 6)

    async def test_a_run_that_was_handed_back_goes_first_among_its_equals(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 1}))
        await dispatched(bench, *numbered("t", 3))
        assert assigned(worker) == ["t0"]
        worker.reject("t0")
        await bench.advance(bench.graces.refusal)
        assert work_off(worker, 3) == ["t0", "t1", "t2"]


class TestTenants:
    async def test_ten_thousand_of_one_tenant_do_not_keep_another_ones_single_run_waiting(
        self, bench: RouterBench
    ) -> None:
        worker = await one_slot(bench)
        await dispatched(bench, *numbered("flood", 10_000), tenant="flood")
        await dispatched(bench, "one", tenant="other")
        worker.report("something-else")
        assert "one" in work_off(worker, 2)

    async def test_whoever_cancels_ten_thousand_is_no_worse_off(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        await dispatched(bench, *numbered("flood", 10_000), tenant="sorry")
        for task_id in numbered("flood", 10_000):
            bench.cancel(task_id)
        await dispatched(bench, *numbered("other", 3), tenant="other")
        await dispatched(bench, *numbered("sorry", 3), tenant="sorry")
        worker.report("something-else")
        assert work_off(worker, 6) == ["other0", "sorry0", "other1", "sorry1", "other2", "sorry2"]

    async def test_tenants_of_equal_weight_take_turns_however_much_each_has(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        await dispatched(bench, *numbered("a", 9), tenant="a")
        await dispatched(bench, *numbered("b", 3), tenant="b")
        await dispatched(bench, *numbered("c", 3), tenant="c")
        worker.report("something-else")
        assert Counter(task_id[0] for task_id in work_off(worker, 9)) == {"a": 3, "b": 3, "c": 3}
        assert work_off(worker, 6) == [f"a{n}" for n in range(3, 9)]

    @pytest.mark.parametrize("weights", [{"a": 3.0}, {"a": 3.0, "b": 1.0}, {"a": 1.5, "b": 0.5}])
    async def test_a_tenant_gets_as_much_as_it_weighs(self, bench: RouterBench, weights: Mapping[str, float]) -> None:
        bench.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(tenant_weights=weights)})))
        worker = await one_slot(bench)
        for tenant in "ab":
            await dispatched(bench, *numbered(tenant, 40), tenant=tenant)
        worker.report("something-else")
        assert Counter(task_id[0] for task_id in work_off(worker, 40)) == {"a": 30, "b": 10}

    async def test_priority_goes_before_fairness(self, bench: RouterBench) -> None:
        worker = await one_slot(bench)
        await dispatched(bench, *numbered("urgent", 4), tenant="a", priority=2)
        await dispatched(bench, "usual", tenant="b")
        worker.report("something-else")
        assert work_off(worker, 5) == [*numbered("urgent", 4), "usual"]


class TestGatesThatOpen:
    async def test_tenants_share_what_starts_when_a_queue_is_resumed(self, bench: RouterBench) -> None:
        """However many signatures one of them has: each is a line of its own."""
        worker = bench.worker(a_worker(queues={"default": 10}))
        bench.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(paused=True)})))
        for n in range(20):
            await dispatched(bench, f"a{n}", tenant="a", signature=a_signature(model=f"m{n}"))
        await dispatched(bench, *numbered("b", 20), tenant="b")
        bench.core.hear(RoutingChanged(Wishes()))
        assert Counter(task_id[0] for task_id in assigned(worker)) == {"a": 5, "b": 5}


async def test_a_tenant_that_waits_and_has_something_placed_at_once_goes_on_waiting(bench: RouterBench) -> None:
    """However many tenants wait beside it: what they had is remembered while they do."""
    bench.worker(a_worker("other", queues={"default": WorkerQueue("default", 5, ("opus",))}))
    for n in range(1_001):
        await bench.dispatch(a_run(f"t{n}", tenant=f"tenant-{n}"))
    await bench.dispatch(a_run("direct", signature=a_signature(model="opus"), tenant="tenant-5"))
    worker = bench.worker(a_worker(queues={"default": WorkerQueue("default", 2_000, ("haiku",))}))
    order = assigned(worker)
    assert len(order) == 1_001
    assert order[-1] == "t5"
