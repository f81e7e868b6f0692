"""Workers that are linked to several Routers: nobody is given what another Router took."""

from devteam_router.frames import Assign, RejectReason
from devteam_router.worker_side import Occupied

from tests.fakes.router_bench import RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker


def attach(bench: RouterBench, occupied: Occupied) -> WorkerEnd:
    """A worker of two queues and three slots, some of which are taken."""
    worker = a_worker(queues={"a": 2, "b": 2}, concurrency=3)
    bench.register(worker)
    link = bench.core.workers.attach(worker.instance, (), occupied)
    end = WorkerEnd(bench.core, worker.instance, link)
    bench._workers.append(end)
    return end


def now_occupied(bench: RouterBench, worker: WorkerEnd, total: int, **by_queue: int) -> None:
    bench.core.workers.occupied(worker.link, Occupied(total, by_queue))


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


async def dispatch(bench: RouterBench, queue: str, runs: int) -> None:
    for n in range(runs):
        await bench.dispatch(a_run(f"{queue}{n}", signature=a_signature(queue)))


async def test_what_was_taken_before_it_attached_is_not_free(bench: RouterBench) -> None:
    worker = attach(bench, Occupied(1, {"a": 1}))
    await dispatch(bench, "a", 2)
    assert assigned(worker) == ["a0"]
    await dispatch(bench, "b", 2)
    assert assigned(worker) == ["b0"]


async def test_what_is_taken_meanwhile_is_not_offered_when_a_slot_comes_free_here(bench: RouterBench) -> None:
    worker = attach(bench, Occupied())
    await dispatch(bench, "a", 3)
    assert assigned(worker) == ["a0", "a1"]
    now_occupied(bench, worker, 2, a=1, b=1)
    worker.report("a0")
    assert assigned(worker) == []


async def test_what_comes_free_there_is_given_to_whoever_waits_here(bench: RouterBench) -> None:
    worker = attach(bench, Occupied(3, {"a": 1, "b": 2}))
    await dispatch(bench, "a", 2)
    assert assigned(worker) == []
    now_occupied(bench, worker, 2, b=2)
    assert assigned(worker) == ["a0"]
    now_occupied(bench, worker, 0)
    assert assigned(worker) == ["a1"]


async def test_the_total_counts_also_where_it_is_more_than_the_queues_tell(bench: RouterBench) -> None:
    """A queue that this Router knows nothing of may take slots, too."""
    worker = attach(bench, Occupied(2, {"elsewhere": 2}))
    await dispatch(bench, "a", 2)
    assert assigned(worker) == ["a0"]


async def test_an_explanation_counts_what_others_took(bench: RouterBench) -> None:
    attach(bench, Occupied(2, {"a": 2}))
    (candidate,) = bench.core.explainer.dry_run(a_signature("a"), bench.clock.monotonic()).candidates
    assert (candidate.active, candidate.rejected_because) == (2, "all 2 slots of a are busy")


async def test_least_loaded_counts_it_too(bench: RouterBench) -> None:
    busy = attach(bench, Occupied(2, {"b": 2}))
    idle = bench.worker(a_worker("idle", queues={"a": 2}))
    await dispatch(bench, "a", 1)
    assert (assigned(busy), assigned(idle)) == ([], ["a0"])


async def test_a_new_instance_brings_its_own_figures(bench: RouterBench) -> None:
    attach(bench, Occupied(3, {"a": 2, "b": 1}))
    worker = bench.worker(a_worker(instance="i2", queues={"a": 2, "b": 2}, concurrency=3))
    await dispatch(bench, "a", 2)
    assert assigned(worker) == ["a0", "a1"]


async def test_a_refusal_for_a_slot_that_another_router_took_costs_the_other_queues_nothing(bench: RouterBench) -> None:
    worker = attach(bench, Occupied())
    await dispatch(bench, "a", 2)
    worker.heard()
    now_occupied(bench, worker, 1, a=1)
    worker.reject("a1", reason=RejectReason.BUSY)
    await dispatch(bench, "b", 1)
    assert assigned(worker) == ["b0"]


async def test_a_worker_that_looks_free_and_is_busy_is_asked_again_once_it_says_more(bench: RouterBench) -> None:
    worker = attach(bench, Occupied())
    await dispatch(bench, "a", 1)
    worker.heard()
    worker.reject("a0", reason=RejectReason.BUSY)
    assert assigned(worker) == []
    now_occupied(bench, worker, 1, b=1)
    assert assigned(worker) == ["a0"]
