"""The step driver of what was cancelled, and the trail that it keeps."""

from datetime import timedelta

from devteam_planner.cancels import Cancels
from devteam_planner.domain import Cancelled, CancelTrail, StepOutcome, TaskState
from devteam_planner.ports import RouterGone, RunAssigned, RunCancelling, RunLost, RunReport, RunWaiting

from devteam.mesh.errors import Unavailable
from tests.fakes.step_bench import ASSIGNED, DONE, W1, Bench


async def test_a_step_of_a_cancelled_plan_is_not_begun(bench: Bench) -> None:
    await bench.cancel()
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert (await bench.task()).attempt == 0
    assert bench.router.dispatched == []


async def test_a_cancelled_attempt_that_no_worker_has_ends_without_the_router(bench: Bench) -> None:
    bench.router.cancel_error = Unavailable("gone")
    bench.router.script(bench.cancel, Unavailable("gone"))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert len(bench.router.dispatched) == 1


async def test_a_cancel_that_came_before_the_router_knew_the_attempt_is_repeated(bench: Bench) -> None:
    bench.router.script(bench.cancel, ASSIGNED, RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert bench.router.cancelled == [("p-1.a", 1)]


async def test_a_cancel_follows_an_attempt_to_its_next_router(bench: Bench) -> None:
    """The one that was told is gone; the one that takes over may hear of the cancel before it knows the attempt."""
    bench.router.script(ASSIGNED, bench.cancel, RouterGone("gone"))
    bench.router.script(RunAssigned(W1, "default", "same", adopted=True), RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert bench.router.cancelled == [("p-1.a", 1)] * 2


async def test_a_new_driver_of_a_cancelled_attempt_tells_the_router_and_waits_for_the_worker(bench: Bench) -> None:
    await bench.assigned()
    await bench.cancel()
    bench.router.script(RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert bench.router.cancelled == [("p-1.a", 1)]


async def test_what_was_cancelled_does_not_succeed_though_its_worker_finished_before_it_heard(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.cancel, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    task = await bench.task()
    assert (task.state, task.completion, task.output_bytes) == (TaskState.CANCELLED, None, 0)
    assert bench.router.acknowledged[-1] == ("p-1.a", 1, 0, True)


async def test_a_cancellation_nobody_asked_for_is_a_loss(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED)
    failure = (await bench.task()).failure
    assert failure
    assert failure.message == "worker w1 was lost: it stopped the run though nobody asked for it"


async def test_a_cancel_leaves_a_trail_from_the_client_to_the_model(bench: Bench) -> None:
    """Each hop at its own moment, and each of them rung."""
    start = bench.clock.now()

    async def later() -> None:
        bench.clock.advance(1.0)

    async def tell_router() -> None:
        task = await bench.task()
        await Cancels(bench.store, bench.router, bench.clock, bench.rung.append).tell_router(task)
        bench.rung.clear()

    report = RunReport(Cancelled(took=0.021), 0)
    bench.router.script(ASSIGNED, bench.cancel, later, tell_router, later, RunCancelling(W1), later, report)
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    told, heard, over = (start + timedelta(seconds=seconds) for seconds in (1, 2, 3))
    assert (await bench.task()).cancel_trail == CancelTrail(start, told, heard, over, model_closed_after=0.021)
    assert bench.rung == ["p-1"] * 2  # worker told, ended


async def test_a_worker_that_is_told_twice_was_told_the_first_time(bench: Bench) -> None:
    """Its link broke in between."""
    start = bench.clock.now()

    async def later() -> None:
        bench.clock.advance(1.0)

    report = RunReport(Cancelled(took=0.021), 0)
    bench.router.script(ASSIGNED, bench.cancel, RunCancelling(W1), later, RunCancelling(W1), report)
    await bench.run()
    trail = (await bench.task()).cancel_trail
    assert trail
    assert (trail.worker_told_at, trail.router_told_at) == (start, start)


async def test_the_trail_of_what_no_worker_had_ends_at_the_router(bench: Bench) -> None:
    bench.router.script(bench.cancel, RunWaiting("full"), RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    now = bench.clock.now()
    assert (await bench.task()).cancel_trail == CancelTrail(now, router_told_at=now)


async def test_a_worker_that_vanishes_never_said_that_it_stopped(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.cancel, RunCancelling(W1), RunLost(W1, "gone"))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    trail = (await bench.task()).cancel_trail
    assert trail
    assert (trail.stopped_at, trail.model_closed_after) == (None, None)


async def test_a_task_that_nobody_cancels_has_no_trail(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    assert (await bench.task()).cancel_trail is None
