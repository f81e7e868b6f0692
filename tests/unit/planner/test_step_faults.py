"""The step driver when lines break, drivers die, and others drive the same step."""

import asyncio
from datetime import timedelta

import pytest
from devteam_planner.domain import Failure, FailureReason, RunPolicy, StepOutcome, TaskSpec, TaskState
from devteam_planner.ports import Entry, RouterGone, RunAssigned, RunLost, RunReport, RunWaiting

from devteam.mesh.errors import Aborted, InvalidInput, NotFound, ResourceExhausted, Unavailable, Violation
from tests.fakes.step_bench import ASSIGNED, BUSY, DONE, W1, W2, Bench, tokens


async def test_a_broken_line_is_dialled_again_after_what_is_stored(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), Unavailable("gone"))
    bench.router.script(Unavailable("still gone"))
    bench.router.script(RunAssigned(W1, "default", "same", adopted=True), tokens(2, "lo"), RunReport(DONE, 2))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert [(d.run.task.attempt, d.last_seq, d.assigned) for d in bench.router.dispatched] == [
        (1, 0, None),
        (1, 1, W1),
        (1, 1, W1),
    ]
    assert (await bench.task()).output == "Hello"
    assert len(bench.clock.slept) == 2


async def test_a_dispatch_moves_at_once_while_another_router_is_up(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), RouterGone("gone"))
    bench.router.script(RouterGone("gone, too"))
    bench.router.script(RunAssigned(W1, "default", "same", adopted=True), tokens(2, "lo"), RunReport(DONE, 2))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert [(d.last_seq, d.assigned) for d in bench.router.dispatched] == [(0, None), (1, W1), (1, W1)]
    assert (await bench.task()).output == "Hello"
    assert bench.clock.slept == []


async def test_what_perhaps_was_assigned_unheard_is_left_alone_until_its_worker_has_spoken(bench: Bench) -> None:
    bench.router.script(RunWaiting("all slots are busy"), RouterGone("gone"))
    bench.router.script(ASSIGNED, tokens(1, "Hello"), RunReport(DONE, 1))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.clock.slept == [2.0]


async def test_an_attempt_without_a_worker_says_that_the_router_is_away(bench: Bench) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.append((await bench.task()).wait_reason)

    bench.router.script(Unavailable("gone"))
    bench.router.script(look, ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    assert seen == ["the Router cannot be reached at the moment"]


@pytest.mark.parametrize("away", [Unavailable("gone"), ResourceExhausted("9 runs wait", retry_after=60.0)])
async def test_an_attempt_that_no_router_takes_ends_at_its_schedule_timeout(bench: Bench, away: Exception) -> None:
    await bench.add(TaskSpec("Hi", "sim", policy=RunPolicy(schedule_timeout=60)))
    for _ in range(100):
        bench.router.script(away)
    assert await bench.run() == StepOutcome(TaskState.FAILED)
    failure = (await bench.task()).failure
    assert failure
    assert failure.reason is FailureReason.SCHEDULE_TIMEOUT
    assert failure.message.startswith("no worker took it within its schedule_timeout: the Router ")


async def test_a_worker_that_has_it_may_take_longer_than_its_schedule_timeout(bench: Bench) -> None:
    await bench.add(TaskSpec("Hi", "sim", policy=RunPolicy(schedule_timeout=1)))
    bench.router.script(ASSIGNED, Unavailable("gone"))
    for _ in range(5):
        bench.router.script(Unavailable("still gone"))
    bench.router.script(RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)


async def test_a_full_router_is_asked_again_when_it_said(bench: Bench) -> None:
    seen: list[tuple[TaskState, str]] = []

    async def look() -> None:
        task = await bench.task()
        seen.append((task.state, task.wait_reason))

    bench.router.script(ResourceExhausted("9 runs wait", retry_after=5.0))
    bench.router.script(look, ASSIGNED, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.clock.slept == [10.0]  # with the longest jitter: those refused together do not come back together
    assert seen == [(TaskState.QUEUED, "the Router takes no more: 9 runs wait")]


async def test_a_report_that_outran_its_tokens_is_asked_for_again(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), RunReport(DONE, 2))
    bench.router.script(tokens(2, "lo"), RunReport(DONE, 2))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).output == "Hello"


async def test_a_run_that_the_router_refuses_fails(bench: Bench) -> None:
    bench.router.script(InvalidInput(Violation("run.queue", "ID_FORMAT", "has a space")))
    assert await bench.run() == StepOutcome(TaskState.FAILED)
    expected = Failure(FailureReason.INVALID_REQUEST, "run.queue: has a space")
    assert (await bench.task()).failure == expected


async def test_a_driver_that_was_superseded_contests_only_after_a_while(bench: Bench) -> None:
    bench.router.script(ASSIGNED, Aborted("another planner", reason="DISPATCH_SUPERSEDED"))
    bench.router.script(RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.clock.slept == [10.0]


async def test_a_driver_whose_attempt_somebody_else_ended_takes_over_the_verdict(bench: Bench) -> None:
    async def end_elsewhere() -> None:
        await bench.store.close_plan("p-1", bench.clock.now())

    bench.router.script(ASSIGNED, end_elsewhere, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SKIPPED)


async def test_a_new_driver_goes_on_with_an_open_attempt(bench: Bench) -> None:
    """A Planner died after it had stored two tokens; the next one asks for what follows, from the same worker."""
    await bench.assigned()
    await bench.token_store.append([Entry("p-1.a", 1, W1, tokens(1, "Hel", "lo").batch)])
    bench.router.script(ASSIGNED, tokens(3, "!"), RunReport(DONE, 3))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    (dispatched,) = bench.router.dispatched
    assert (dispatched.run.task.attempt, dispatched.last_seq, dispatched.assigned) == (1, 2, W1)
    assert (await bench.task()).output == "Hello!"


async def test_what_two_drivers_stored_in_other_batches_is_in_the_output_once(bench: Bench) -> None:
    """The tokens of a driver in another process were on their way when this one asked where to go on."""
    await bench.assigned()
    for said in (tokens(1, "a", "b"), tokens(3, "c", "d"), tokens(3, "c", "d", "e"), tokens(4, "d", "e", "f")):
        assert await bench.token_store.append([Entry("p-1.a", 1, W1, said.batch)]) == []
    bench.router.script(ASSIGNED, RunReport(DONE, 6))
    await bench.run()
    assert (await bench.task()).output == "abcdef"


async def test_a_driver_that_died_before_its_acknowledgement_is_made_up_for(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    bench.router.acknowledged.clear()
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.router.acknowledged == [("p-1.a", 1, 0, True)]
    assert len(bench.router.dispatched) == 1


async def test_a_task_that_does_not_exist_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound, match=r"no task named 'p-1\.z'"):
        await bench.run("p-1.z")


async def test_a_cancelled_driver_closes_its_dispatch(bench: Bench) -> None:
    """The activity is stopped because its process ends: the call goes, the attempt stays."""
    begun: asyncio.Event = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    bench.router.script(ASSIGNED, hang)
    driving = asyncio.create_task(bench.run())
    await asyncio.wait_for(begun.wait(), 60)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert bench.router.closed == 1
    assert (await bench.task()).attempt_open
    assert bench.router.cancelled == []


async def test_the_wait_for_a_worker_counts_from_the_attempts_beginning(empty: Bench) -> None:
    """However often it is dispatched."""
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(schedule_timeout=60.0)))
    begun_at = empty.clock.now()
    empty.router.script(RunWaiting("full"), ResourceExhausted("9 runs wait", retry_after=25.0))
    empty.router.script(RunWaiting("full"), Unavailable("gone"))
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    await empty.run()
    deadlines = [dispatched.run.schedule_deadline for dispatched in empty.router.dispatched]
    assert deadlines == [begun_at + timedelta(seconds=60)] * 3
    assert empty.clock.now() > begun_at


async def test_the_next_attempt_waits_anew(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(schedule_timeout=60.0)))
    empty.router.script(ASSIGNED, RunLost(W1, "gone"))
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    begun_at = empty.clock.now()
    await empty.run()
    empty.clock.advance(30)
    await empty.run()
    assert empty.router.dispatched[1].run.schedule_deadline == begun_at + timedelta(seconds=90)


async def test_a_driver_whose_tokens_are_refused_stops_and_has_the_worker_stopped(bench: Bench) -> None:
    """Another driver ended the attempt meanwhile: what this one still hears is not stored."""

    async def end_elsewhere() -> None:
        await bench.store.close_plan("p-1", bench.clock.now())

    async def settled() -> None:
        await bench.log.settle("p-1.a", 1)

    bench.router.script(ASSIGNED, tokens(1, "a"), settled, end_elsewhere, tokens(2, "b"), settled, tokens(3, "c"))
    assert await bench.run() == StepOutcome(TaskState.SKIPPED)
    assert await bench.token_store.last_seq("p-1.a", 1) == 1
    assert bench.router.cancelled == [("p-1.a", 1)]
    assert bench.router.closed == 1


async def test_tokens_of_an_instance_that_no_longer_has_the_attempt_are_refused(bench: Bench) -> None:
    """The other one's driver goes on undisturbed; this one contests only after a while."""

    async def assign_elsewhere() -> None:
        await bench.log.settle("p-1.a", 1)
        await bench.store.note_assigned("p-1.a", 1, W2, "default", "why", bench.clock.now())

    async def settled() -> None:
        await bench.log.settle("p-1.a", 1)

    bench.router.script(ASSIGNED, tokens(1, "a"), assign_elsewhere, tokens(2, "b"), settled, tokens(3, "c"))
    bench.router.script(RunAssigned(W2, "default", "same", adopted=True), tokens(2, "x"), RunReport(DONE, 2))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).output == "ax"
    assert bench.clock.slept == [10.0]
    assert bench.router.cancelled == []
    assert bench.router.dispatched[1].assigned == W2


async def test_the_end_that_an_older_instance_reports_is_refused(bench: Bench) -> None:
    async def assign_elsewhere() -> None:
        await bench.store.note_assigned("p-1.a", 1, W2, "default", "why", bench.clock.now())

    bench.router.script(ASSIGNED, assign_elsewhere, RunReport(BUSY, 0))
    bench.router.script(RunAssigned(W2, "default", "same", adopted=True), tokens(1, "x"), RunReport(DONE, 1))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).output == "x"


async def test_tokens_that_nobody_signed_are_asked_for_again(bench: Bench) -> None:
    bench.router.script(tokens(1, "x"))
    bench.router.script(ASSIGNED, tokens(1, "x"), RunReport(DONE, 1))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).output == "x"
