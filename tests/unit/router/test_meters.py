"""What a Router's metrics say."""

from dataclasses import replace

import pytest
from devteam_router.dispatch import Stage
from devteam_router.domain import Availability
from devteam_router.frames import Assign
from devteam_router.meters import Meters
from devteam_router.ports import RoutingChanged, WorkerChanged
from devteam_router.routing import Policy, QueuePolicy, Wishes
from devteam_router.worker_side import Occupied

from devteam.mesh.metrics.readings import readable
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker
from tests.fakes.scrape import Scrape, metered, scraped

DEPTH, DEMAND, OLDEST = "devteam_queue_depth", "devteam_queue_demand_slots", "devteam_queue_oldest_wait_seconds"
USED, FREE, WORKERS = "devteam_queue_slots_used", "devteam_queue_slots_free", "devteam_queue_workers"
PER_QUEUE = (DEPTH, DEMAND, OLDEST, USED, FREE, WORKERS)


def of_queue(scrape: Scrape, queue: str) -> tuple[float | None, ...]:
    """Depth, demand, oldest wait, slots used and free, workers."""
    return tuple(scrape.value(name, queue=queue) for name in PER_QUEUE)


def free_in(scrape: Scrape, *queues: str) -> tuple[float | None, ...]:
    """Slots that are free, by queue."""
    return tuple(scrape.value(FREE, queue=queue) for queue in queues)


async def test_with_no_worker_and_no_task_everything_is_there_and_0(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            scrape = await scraped()
    assert of_queue(scrape, "default") == (0, 0, 0, 0, 0, 0)
    assert [
        scrape.value(name)
        for name in ("devteam_router_links", "devteam_models_throttled", "devteam_fenced_words_total")
    ] == [0, 0, 0]
    assert scrape.value("devteam_stream_backlog_bytes", at="router") == 0


async def test_a_queue_tells_what_waits_what_runs_and_the_room_there_is(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            bench.worker(a_worker("w1", queues={"gpu": 2}))
            bench.worker(a_worker("w2", queues={"gpu": 1, "default": 3}))
            for number in range(5):
                await bench.dispatch(a_run(f"t{number}", signature=a_signature("gpu")))
                await bench.advance(10)
            scrape = await scraped()
            assert of_queue(scrape, "gpu") == (2, 5, 20, 3, 0, 2)
            assert of_queue(scrape, "default") == (0, 0, 0, 0, 3, 1)
            assert scrape.value("devteam_router_links") == 2
            assert scrape.value("devteam_dispatch_wait_seconds_count", queue="gpu") == 3


async def test_demand_falls_only_when_work_is_done_so_that_who_is_busy_is_not_scaled_away(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            worker = bench.worker(a_worker(queues={"gpu": 4}))
            for number in range(4):
                await bench.dispatch(a_run(f"t{number}", signature=a_signature("gpu")))
            scrape = await scraped()
            assert (scrape.value(DEPTH, queue="gpu"), scrape.value(DEMAND, queue="gpu")) == (0, 4)
            worker.accept("t0", "t1", "t2", "t3")
            worker.report("t0")
            scrape = await scraped()
            assert (scrape.value(DEMAND, queue="gpu"), scrape.value(FREE, queue="gpu")) == (3, 1)


async def test_what_runs_on_a_worker_that_drains_takes_no_slot_of_the_others(bench: RouterBench) -> None:
    """As at every scale-in: one worker is busy and takes nothing new, another one is empty."""
    busy = a_worker("busy", queues={"gpu": 4})
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            bench.worker(busy)
            for number in range(4):
                await bench.dispatch(a_run(f"t{number}", signature=a_signature("gpu")))
            idle = bench.worker(a_worker("idle", queues={"gpu": 4}))
            for availability in (Availability.DRAINING, Availability.CORDONED):
                bench.core.hear(WorkerChanged(replace(busy, availability=availability)))
                assert of_queue(await scraped(), "gpu")[3:] == (4, 4, 1)
            idle.hang_up()
            assert of_queue(await scraped(), "gpu")[3:] == (4, 0, 0)


async def test_slots_that_two_queues_share_are_free_for_neither_once_they_are_taken(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            worker = bench.worker(a_worker(queues={"x": 2, "y": 2}, concurrency=2))
            assert free_in(await scraped(), "x", "y") == (2, 2)
            await bench.dispatch(a_run("t0", signature=a_signature("x")))
            assert free_in(await scraped(), "x", "y") == (1, 1)
            await bench.dispatch(a_run("t1", signature=a_signature("x")))
            assert free_in(await scraped(), "x", "y") == (0, 0)
            worker.accept("t0")
            worker.report("t0")
            assert free_in(await scraped(), "x", "y") == (1, 1)


async def test_a_queue_has_no_more_free_slots_at_a_worker_than_it_may_take_there(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            bench.worker(a_worker(queues={"x": 1, "y": 4}, concurrency=4))
            assert free_in(await scraped(), "x", "y") == (1, 4)
            await bench.dispatch(a_run("t0", signature=a_signature("x")))
            assert free_in(await scraped(), "x", "y") == (0, 3)
            for number in range(1, 4):
                await bench.dispatch(a_run(f"t{number}", signature=a_signature("y")))
            assert free_in(await scraped(), "x", "y") == (0, 0)


async def test_what_other_routers_placed_is_not_free(bench: RouterBench) -> None:
    """Whatever of it falls to which queue, and also where it moves from one queue to another."""
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            worker = bench.worker(a_worker(queues={"x": 2, "y": 3}, concurrency=4))
            for elsewhere, free in [
                (Occupied(2, {"x": 2}), (0, 2)),
                (Occupied(2, {"y": 2}), (2, 1)),
                (Occupied(3, {"z": 3}), (1, 1)),
                (Occupied(), (2, 3)),
            ]:
                bench.core.workers.occupied(worker.link, elsewhere)
                assert free_in(await scraped(), "x", "y") == free


async def test_a_queue_that_was_seen_stays_with_0_when_it_is_gone(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            await bench.dispatch(a_run("t1", signature=a_signature("odd")))
            assert of_queue(await scraped(), "odd")[:4] == (1, 1, 0, 0)
            bench.cancel("t1")
            assert of_queue(await scraped(), "odd")[:4] == (0, 0, 0, 0)


async def test_queues_with_a_policy_and_preferred_ones_are_there_from_the_start(clock: FakeClock) -> None:
    bench = RouterBench(clock, policy=Policy(preferences={"opus": ["gpu"]}))
    bench.core.hear(RoutingChanged(Wishes(queues={"night": QueuePolicy(paused=True)})))
    async with metered():
        with readable(Meters(bench.core, clock).read):
            scrape = await scraped()
    assert scrape.of(DEPTH, "queue") == {"default": 0, "gpu": 0, "night": 0}


async def test_the_oldest_wait_is_right_for_runs_that_came_over_from_another_queue(bench: RouterBench) -> None:
    """They have waited longer than those that were there before."""
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            await bench.dispatch(a_run("old", signature=a_signature("default", model="opus", preferred=True)))
            await bench.advance(10)
            await bench.dispatch(a_run("new", signature=a_signature("gpu", model="opus")))
            await bench.advance(5)
            bench.core.hear(RoutingChanged(Wishes(preferences={"opus": ["gpu"]})))
            scrape = await scraped()
            assert scrape.of(OLDEST, "queue") == {"default": 0, "gpu": 15}
            bench.cancel("old")
            assert (await scraped()).value(OLDEST, queue="gpu") == 5


async def test_words_about_attempts_that_are_over_are_counted(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            worker = bench.worker()
            worker.say("nobody's", 1, 2)
            worker.accept("nobody's")
            assert (await scraped()).value("devteam_fenced_words_total") == 2


async def test_tokens_that_no_planner_has_stored_are_the_backlog(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            worker = bench.worker()
            await bench.dispatch(a_run("t1"))
            worker.accept("t1")
            worker.say("t1", 1, 3, size=100)
            worker.say("t1", 4, 6, size=50)
            assert (await scraped()).value("devteam_stream_backlog_bytes", at="router") == 150
            bench.acknowledge("t1", 3)
            assert (await scraped()).value("devteam_stream_backlog_bytes", at="router") == 50


async def test_the_wait_for_a_worker_is_measured_for_each_run_that_got_one(bench: RouterBench) -> None:
    async with metered():
        with readable(Meters(bench.core, bench.clock).read):
            await bench.dispatch(a_run("t1"))
            await bench.advance(42)
            worker = bench.worker()
            await bench.settled()
            assert [type(frame) for frame in worker.heard()] == [Assign]
            scrape = await scraped()
            assert scrape.value("devteam_dispatch_wait_seconds_sum", queue="default") == pytest.approx(42)
            assert scrape.value("devteam_dispatch_wait_seconds_bucket", queue="default", le="30.0") == 0
            assert scrape.value("devteam_dispatch_wait_seconds_bucket", queue="default", le="60.0") == 1


async def test_ten_thousand_tasks_in_ten_thousand_queues_of_as_many_models_make_few_series(clock: FakeClock) -> None:
    """The queue that is served has its own series, though it came after all those that somebody made up."""
    bench = RouterBench(clock)
    async with metered():
        with readable(Meters(bench.core, clock).read):
            for number in range(10_000):
                run = a_run(f"t{number}", signature=a_signature(f"q{number}", model=f"m{number}"))
                bench.core.attempts.open(run.id, run, Stage.WAITING)
                bench.core.matcher.submit(run)
            first = await scraped()
            bench.worker(a_worker(queues={"served": 2}))
            await bench.dispatch(a_run("last", signature=a_signature("served")))
            second = await scraped()
    assert first.total(DEPTH) == first.total(DEMAND) == second.total(DEPTH) == 10_000
    assert len(first.of(DEPTH, "queue")) == 102, "a hundred that nobody serves, all others as one, and the default"
    assert second.value(DEMAND, queue="served") == 1
    assert second.value(DEPTH, queue="other") == 9_900
    assert len(first) < 700
    assert len(second) < 750


async def test_no_more_than_two_hundred_queues_have_series_of_their_own(clock: FakeClock) -> None:
    bench = RouterBench(clock)
    async with metered():
        with readable(Meters(bench.core, clock).read):
            for number in range(1_000):
                bench.worker(a_worker(f"w{number}", queues={f"q{number}": 2}))
                await bench.dispatch(a_run(f"t{number}", signature=a_signature(f"q{number}")))
            scrape = await scraped()
    used = scrape.of(USED, "queue")
    assert (len(used), sum(used.values())) == (201, 1_000)
    assert len(scrape.of("devteam_dispatch_wait_seconds_count", "queue")) <= 201
