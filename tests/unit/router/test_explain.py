"""Why a task waits, and why it runs where it does."""

from collections.abc import Sequence

import pytest
from devteam_router.dispatch import AssignedTo, Waits
from devteam_router.domain import Availability, Candidate, WaitReason
from devteam_router.ports import WorkerRemoved

from devteam.mesh.errors import NotFound
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_signature, a_worker


def verdicts(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    return [(candidate.worker.id, candidate.rejected_because) for candidate in candidates]


async def test_a_waiting_task_is_explained_by_what_is_true_now(bench: RouterBench) -> None:
    bench.worker(a_worker(queues={"default": 1}))
    await bench.dispatch(a_run("t1"))
    await bench.dispatch(a_run("t2"))
    bench.worker(a_worker("w2", availability=Availability.CORDONED))
    explanation = bench.core.explainer.task("t2")
    assert isinstance(explanation.standing, Waits)
    assert explanation.standing.wait.reason is WaitReason.ALL_SLOTS_BUSY
    assert verdicts(explanation.candidates) == [("w1", "all 1 slots of default are busy"), ("w2", "is cordoned")]


async def test_a_placed_task_is_explained_by_what_was_true_then(bench: RouterBench) -> None:
    bench.worker(a_worker("small", queues={"default": 1}))
    bench.worker(a_worker("large", queues={"default": 4}))
    planner = await bench.dispatch(a_run())
    bench.worker(a_worker("later", queues={"default": 9}))
    explanation = bench.core.explainer.task("t1")
    assert explanation.standing == planner.events[0]
    assert verdicts(explanation.candidates) == [("large", ""), ("small", "")]
    assert [(candidate.active, candidate.score) for candidate in explanation.candidates] == [(0, 0.25), (0, 1.0)]


async def test_the_tie_is_told(bench: RouterBench) -> None:
    for n in range(3):
        bench.worker(a_worker(f"w{n}"))
    bench.worker(a_worker("small", queues={"default": 1}))
    await bench.dispatch(a_run())
    explanation = bench.core.explainer.task("t1")
    assert isinstance(explanation.standing, AssignedTo)
    assert (explanation.standing.decision.tied, explanation.standing.decision.eligible) == (3, 4)
    assert [candidate.alike for candidate in explanation.candidates] == [3, 1]


async def test_a_large_queue_is_explained_by_kinds(bench: RouterBench) -> None:
    for n in range(150):
        bench.worker(a_worker(f"w{n}", queues={"default": 1}))
    for n in range(3):
        bench.worker(a_worker(f"c{n}", availability=Availability.CORDONED))
    await bench.dispatch(a_run())
    candidates = bench.core.explainer.dry_run(a_signature(), 0.0).candidates
    told = [(candidate.rejected_because, candidate.alike) for candidate in candidates]
    assert told == [("", 149), ("all 1 slots of default are busy", 1), ("is cordoned", 3)]


async def test_it_is_remembered_after_the_end(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.report("t1")
    bench.acknowledge("t1", 0, report=True)
    assert bench.core.explainer.task("t1").standing == planner.events[0]


async def test_an_adopted_task_is_explained_before_and_after_its_planner_comes(bench: RouterBench) -> None:
    worker = bench.worker(a_worker(), in_hand("t1"))
    for _ in range(2):
        standing = bench.core.explainer.task("t1").standing
        assert isinstance(standing, AssignedTo)
        assert (standing.worker, standing.adopted) == (worker.worker, True)
        await bench.dispatch(a_run(), assigned=worker.worker)


async def test_a_task_that_waits_for_its_worker_says_so(bench: RouterBench) -> None:
    await bench.dispatch(a_run(), assigned=a_worker().instance)
    standing = bench.core.explainer.task("t1").standing
    assert isinstance(standing, Waits)
    assert standing.wait.reason is WaitReason.WORKER_RECONNECTING
    worker = bench.worker(a_worker(), in_hand("t1"))
    standing = bench.core.explainer.task("t1").standing
    assert isinstance(standing, AssignedTo)
    assert standing.worker == worker.worker


async def test_an_unknown_task_is_not_found(bench: RouterBench) -> None:
    with pytest.raises(NotFound, match="the router holds no run of task t1"):
        bench.core.explainer.task("t1")


async def test_a_dry_run_says_where_it_would_go_and_leaves_no_trace(bench: RouterBench) -> None:
    worker = bench.worker()
    explanation = bench.core.explainer.dry_run(a_signature(), 0.0)
    assert explanation.standing is None
    assert verdicts(explanation.candidates) == [("w1", "")]
    assert (worker.heard(), bench.held, len(bench.core.attempts)) == ([], [], 0)


async def test_or_what_it_would_wait_for(bench: RouterBench) -> None:
    explanation = bench.core.explainer.dry_run(a_signature("gpu", "default"), 0.0)
    assert isinstance(explanation.standing, Waits)
    assert (explanation.standing.wait.reason, explanation.standing.queue) == (WaitReason.NO_WORKER_IN_QUEUE, "gpu")
    assert explanation.candidates == []


async def test_nobody_who_has_left_is_named_among_those_that_were_weighed(bench: RouterBench) -> None:
    """Though the kind that it was of was known by it first."""
    bench.worker(a_worker("left", queues={"default": 1}))
    for n in range(2):
        bench.worker(a_worker(f"small{n}", queues={"default": 1}))
    bench.worker(a_worker("large", queues={"default": 4}))
    bench.core.hear(WorkerRemoved("left"))
    await bench.dispatch(a_run())
    candidates = bench.core.explainer.task("t1").candidates
    assert [(candidate.worker.id, candidate.alike) for candidate in candidates] == [("large", 1), ("small0", 2)]
