"""How many slots a queue wants, and whom that is told."""

import pytest
from devteam_router.domain import Requirements
from devteam_router.ports import RoutingChanged
from devteam_router.routing import ModelLimit, QueuePolicy, Wishes

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker


def wanted(bench: RouterBench, queue: str = "default") -> int:
    return bench.core.demand.of(queue)


async def submit(bench: RouterBench, count: int, *queues: str, model: str = "haiku") -> None:
    for number in range(count):
        await bench.dispatch(a_run(f"{model}-{number}", signature=a_signature(*queues, model=model)))


class TestSlots:
    async def test_what_waits_and_what_runs(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 2}))
        await submit(bench, 5)
        assert wanted(bench) == 5
        for number in range(5):
            worker.accept(f"haiku-{number}")
            worker.report(f"haiku-{number}")
            assert wanted(bench) == 4 - number

    async def test_a_queue_that_nobody_knows(self, bench: RouterBench) -> None:
        assert wanted(bench, "nowhere") == 0

    async def test_of_several_queues_the_first_counts(self, bench: RouterBench) -> None:
        await submit(bench, 1, "first", "second")
        assert (wanted(bench, "first"), wanted(bench, "second")) == (1, 0)

    async def test_what_runs_counts_where_it_runs(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"second": 1}))
        await submit(bench, 1, "first", "second")
        assert (wanted(bench, "first"), wanted(bench, "second")) == (0, 1)

    async def test_what_waits_for_a_worker_that_can_run_it_counts(self, bench: RouterBench) -> None:
        """The next one that starts may be it."""
        bench.worker(a_worker())
        await bench.dispatch(a_run(signature=a_signature(requirements=Requirements(gpu=True))))
        assert wanted(bench) == 1

    async def test_in_a_paused_queue_only_what_runs_counts(self, bench: RouterBench) -> None:
        bench.worker(a_worker(queues={"default": 1}))
        await submit(bench, 3)
        bench.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(paused=True)})))
        assert wanted(bench) == 1
        bench.core.hear(RoutingChanged(Wishes()))
        assert wanted(bench) == 3

    async def test_what_a_provider_holds_back_counts_once_it_may_start(self, bench: RouterBench) -> None:
        bench.core.matcher.throttle("opus", 30, "anthropic said 429")
        await submit(bench, 2, model="opus")
        await submit(bench, 3, model="haiku")
        assert wanted(bench) == 3
        await bench.advance(30)
        assert wanted(bench) == 5

    @pytest.mark.parametrize("where", ["", "default"])
    async def test_what_a_limit_holds_back_counts_once_it_may_start(self, bench: RouterBench, where: str) -> None:
        bench.worker(a_worker(queues={"default": 4}))
        bench.core.hear(RoutingChanged(Wishes(limits=(ModelLimit("haiku", where, 2),))))
        await submit(bench, 3)
        assert wanted(bench) == 1
        await bench.advance(30)
        assert wanted(bench) == 2


class TestNews:
    async def test_only_the_first_slot_and_the_last_are_news(self, bench: RouterBench) -> None:
        worker = bench.worker(a_worker(queues={"default": 4}))
        with bench.core.demand.watched() as news:
            await submit(bench, 1)
            assert news.is_set()
            await bench.dispatch(a_run("t2"))
            news.clear()
            await bench.dispatch(a_run("t3"))
            worker.accept("haiku-0", "t2", "t3")
            worker.report("haiku-0")
            worker.report("t2")
            assert not news.is_set()
            worker.report("t3")
            assert news.is_set()

    async def test_what_waits_is_news_with_nobody_to_run_it(self, bench: RouterBench) -> None:
        with bench.core.demand.watched() as news:
            await submit(bench, 1)
            assert news.is_set()
            news.clear()
            bench.cancel("haiku-0")
            assert news.is_set()

    async def test_the_end_of_what_held_it_back_is_news(self, bench: RouterBench) -> None:
        bench.core.matcher.throttle("haiku", 30, "anthropic said 429")
        await submit(bench, 1)
        with bench.core.demand.watched() as news:
            await bench.advance(30)
            assert news.is_set()

    @pytest.mark.parametrize("paused", [True, False])
    async def test_a_pause_and_its_end_are_news(self, bench: RouterBench, paused: bool) -> None:
        with bench.core.demand.watched() as news:
            bench.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(paused=paused)})))
            assert news.is_set()

    async def test_nothing_is_told_to_those_who_have_left(self, bench: RouterBench) -> None:
        with bench.core.demand.watched() as news:
            pass
        await submit(bench, 1)
        assert not news.is_set()
