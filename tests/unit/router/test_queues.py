"""Queues as operators see them."""

from devteam_router.domain import Availability, StrategyName
from devteam_router.ports import RoutingChanged
from devteam_router.queues import QueueView
from devteam_router.routing import QueuePolicy, Wishes

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker


def view(bench: RouterBench, name: str) -> QueueView:
    return next(view for view in bench.core.queues.views(bench.clock.monotonic()) if view.name == name)


def names(bench: RouterBench) -> list[str]:
    return [view.name for view in bench.core.queues.views(bench.clock.monotonic())]


async def test_a_queue_counts_what_waits_what_runs_and_the_room_there_is(bench: RouterBench) -> None:
    bench.worker(a_worker("w1", queues={"a": 2, "b": 4}, concurrency=3))
    bench.worker(a_worker("w2", queues={"a": 5}, availability=Availability.CORDONED))
    bench.register(a_worker("w3", queues={"a": 7}))
    for n in range(4):
        await bench.dispatch(a_run(f"t{n}", signature=a_signature("a")))
        await bench.advance(10)
    assert view(bench, "a") == QueueView("a", waiting=2, running=2, slots=2, workers=3, oldest_wait=20.0)
    assert view(bench, "b") == QueueView("b", waiting=0, running=0, slots=3, workers=1, oldest_wait=None)


async def test_a_run_with_several_queues_waits_in_the_first(bench: RouterBench) -> None:
    await bench.dispatch(a_run(signature=a_signature("first", "second")))
    assert names(bench) == ["first"]
    assert view(bench, "first").waiting == 1


async def test_queues_are_named_while_anything_is_in_them(bench: RouterBench) -> None:
    worker = bench.worker(a_worker(queues={"b": 1}))
    await bench.dispatch(a_run("t1", signature=a_signature("b")))
    await bench.dispatch(a_run("t2", signature=a_signature("a")))
    assert names(bench) == ["a", "b"]
    bench.register(a_worker(queues={"c": 1}))
    assert names(bench) == ["a", "b", "c"]
    worker.accept("t1")
    worker.report("t1")
    bench.cancel("t2")
    assert names(bench) == ["c"]


async def test_a_paused_queue_is_named_though_nothing_is_in_it(bench: RouterBench) -> None:
    policy = QueuePolicy(paused=True, strategy=StrategyName.LOCALITY)
    bench.core.hear(RoutingChanged(Wishes(queues={"a": policy, "b": QueuePolicy(strategy=StrategyName.LOCALITY)})))
    assert names(bench) == ["a"]
    assert (view(bench, "a").paused, view(bench, "a").strategy) == (True, StrategyName.LOCALITY)
