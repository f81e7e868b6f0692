"""Why a task waits, and why it runs where it does."""

from collections.abc import Sequence

import pytest
from devteam_router.dispatch import AssignedTo, Waits
from devteam_router.domain import Availability, Candidate, WaitReason

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
    bench.worker(a_worker("cordoned", availability=Availability.CORDONED))
    planner = await bench.dispatch(a_run())
    explanation = bench.core.explainer.task("t1")
    assert explanation.standing == planner.events[0]
    assert verdicts(explanation.candidates) == [("large", ""), ("small", ""), ("cordoned", "is cordoned")]
    assert [candidate.active for candidate in explanation.candidates] == [0, 0, 0]


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
    explanation = bench.core.explainer.dry_run(a_signature())
    assert explanation.standing is None
    assert verdicts(explanation.candidates) == [("w1", "")]
    assert (worker.heard(), bench.held, len(bench.core.attempts)) == ([], [], 0)


async def test_or_what_it_would_wait_for(bench: RouterBench) -> None:
    explanation = bench.core.explainer.dry_run(a_signature("gpu", "default"))
    assert isinstance(explanation.standing, Waits)
    assert (explanation.standing.wait.reason, explanation.standing.queue) == (WaitReason.NO_WORKER_IN_QUEUE, "gpu")
    assert explanation.candidates == []
