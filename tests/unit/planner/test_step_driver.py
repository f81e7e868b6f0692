"""The step driver on real stores and a scripted Router."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.domain import (
    MAX_OUTPUT_BYTES,
    SOLE_STEP,
    Batch,
    Cancelled,
    Completion,
    Failure,
    FailureReason,
    HandedBack,
    Plan,
    PlanState,
    RunPolicy,
    StepOutcome,
    Task,
    TaskSpec,
    TaskState,
    WorkerInstance,
    task_id_of,
)
from devteam_planner.ports import RunAssigned, RunLost, RunReport, RunTokens, RunWaiting
from devteam_planner.step_driver import StepDriver
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.token_log import TokenLog

from devteam.mesh.errors import Aborted, InvalidInput, NotFound, ResourceExhausted, Unavailable, Violation
from devteam.mesh.tasks import background
from devteam.v1 import run_pb2
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_script import ScriptedRouter

W1 = WorkerInstance("w1", "i1")
W2 = WorkerInstance("w2", "i2")
DONE = Completion(provider="sim", model="sim", stop_reason="end_turn")
ASSIGNED = RunAssigned(W1, "default", "least loaded")
BUSY = Failure(FailureReason.RATE_LIMITED, "slow down", retryable=True)


def tokens(first_seq: int, *texts: str) -> RunTokens:
    message = run_pb2.Tokens(first_seq=first_seq, tokens=[run_pb2.Token(text=text) for text in texts])
    return RunTokens(Batch(first_seq, first_seq + len(texts) - 1, message.SerializeToString()))


@dataclass
class Bench:
    """A driver and everything it stands on."""

    clock: HastyClock
    store: MemoryPlanStore = field(default_factory=MemoryPlanStore)
    token_store: MemoryTokenStore = field(default_factory=MemoryTokenStore)
    router: ScriptedRouter = field(default_factory=ScriptedRouter)
    rung: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = TokenLog(self.token_store, Bell(self.clock), self.router.acknowledge, self.clock)
        self.driver = StepDriver(
            store=self.store,
            log=self.log,
            router=self.router,
            clock=self.clock,
            ring=self.rung.append,
            text_of=text_of,
            jitter=lambda: 1.0,
        )

    async def add(self, *specs: TaskSpec, sole: bool = False, inputs: dict[str, str] | None = None) -> None:
        """Plan p-1 of steps a, b, ... in a chain."""
        names = [SOLE_STEP] if sole else list("abcdef")[: len(specs)]
        tasks = tuple(
            Task(
                task_id=task_id_of("p-1", name),
                plan_id="p-1",
                step_id=name,
                position=position,
                spec=spec,
                depends_on=tuple(names[max(0, position - 1) : position]),
                state=TaskState.PENDING,
                created_at=self.clock.now(),
            )
            for position, (name, spec) in enumerate(zip(names, specs, strict=True))
        )
        await self.store.add(
            Plan("p-1", "plan", PlanState.RUNNING, inputs or {}, self.clock.now(), sole=sole, tasks=tasks)
        )

    async def run(self, task_id: str = "p-1.a") -> StepOutcome:
        async with asyncio.timeout(5):
            return await self.driver.run("p-1", task_id)

    async def task(self, task_id: str = "p-1.a") -> Task:
        return await self.store.task(task_id)

    async def reason(self, number: int) -> str:
        attempt = await self.store.attempt("p-1.a", number)
        assert attempt
        return attempt.reason


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench(HastyClock())
    await bench.add(TaskSpec(prompt="hi", model="sim"))
    async with background(bench.log.run):
        yield bench


@pytest.fixture
async def empty() -> AsyncIterator[Bench]:
    """A bench without a plan."""
    bench = Bench(HastyClock())
    async with background(bench.log.run):
        yield bench


async def test_an_attempt_that_completes_makes_the_task_succeed(bench: Bench) -> None:
    bench.router.script(
        RunWaiting("all slots busy"), ASSIGNED, tokens(1, "Hel"), tokens(2, "lo", "!"), RunReport(DONE, last_seq=3)
    )
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    task = await bench.task()
    assert (task.state, task.output, task.completion, task.attempt) == (TaskState.SUCCEEDED, "Hello!", DONE, 1)
    assert (task.worker, task.queue, task.placement_reason) == (W1, "default", "least loaded")
    assert bench.router.acknowledged[-1] == ("p-1.a", 1, 3, True)
    assert await bench.reason(1) == "first attempt"
    assert bench.router.closed == 1


async def test_every_stored_change_is_rung(bench: Bench) -> None:
    bench.router.script(RunWaiting("full"), ASSIGNED, RunReport(DONE, last_seq=0))
    await bench.run()
    assert bench.rung == ["p-1"] * 4  # begun, waiting, assigned, ended


async def test_an_answer_cut_at_max_tokens_is_a_success(bench: Bench) -> None:
    cut = replace(DONE, stop_reason="max_tokens")
    bench.router.script(ASSIGNED, tokens(1, "Hel"), RunReport(cut, last_seq=1))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).completion == cut


async def test_templates_are_filled_with_inputs_and_outputs(empty: Bench) -> None:
    await empty.add(
        TaskSpec(prompt="hi", model="sim"),
        TaskSpec(prompt="About {{input.topic}}: {{a.output}}", system_prompt="For {{input.who}}", model="sim"),
        inputs={"topic": "cats", "who": "me"},
    )
    empty.router.script(ASSIGNED, tokens(1, "{{input.who}}"), RunReport(DONE, 1))
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    await empty.run("p-1.a")
    await empty.run("p-1.b")
    run = empty.router.dispatched[1].run
    assert (run.prompt, run.system_prompt) == ("About cats: {{input.who}}", "For me")


async def test_a_task_of_its_own_is_taken_literally(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="what is {{x}}?", model="sim"), sole=True)
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    await empty.run("p-1")
    assert empty.router.dispatched[0].run.prompt == "what is {{x}}?"


@pytest.mark.parametrize("count", [30, 20_000])
async def test_a_prompt_that_grows_too_large_fails_without_an_attempt(empty: Bench, count: int) -> None:
    await empty.add(TaskSpec(prompt="{{input.x}}" * count, model="sim"), inputs={"x": "y" * 10_000})
    assert await empty.run() == StepOutcome(TaskState.FAILED)
    task = await empty.task()
    text = "with its templates filled, the prompt has more than 256 KiB"
    assert (task.attempt, task.failure) == (0, Failure(FailureReason.PROMPT_TOO_LARGE, text))
    assert empty.router.dispatched == []


async def test_an_output_that_is_too_large_fails_the_task(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "x" * MAX_OUTPUT_BYTES), tokens(2, "x"), RunReport(DONE, 2))
    assert await bench.run() == StepOutcome(TaskState.FAILED)
    text = "the output has more than 3 MiB: ask for less, or split the task"
    assert (await bench.task()).failure == Failure(FailureReason.OUTPUT_TOO_LARGE, text)


async def test_an_output_of_many_batches_is_put_together(bench: Bench) -> None:
    batches = [tokens(seq, f"{seq},") for seq in range(1, 601)]
    bench.router.script(ASSIGNED, *batches, RunReport(DONE, 600))
    await bench.run()
    assert (await bench.task()).output == "".join(f"{seq}," for seq in range(1, 601))


async def test_a_character_no_database_holds_is_replaced(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "a\x00b"), RunReport(DONE, 1))
    await bench.run()
    assert (await bench.task()).output == "a\ufffdb"


async def test_a_retryable_failure_asks_for_another_attempt_later(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), RunReport(BUSY, 1))
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED, 1.0)
    task = await bench.task()
    assert (task.state, task.failure, task.burnt, task.attempt_open) == (TaskState.QUEUED, BUSY, 1, False)
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert await bench.reason(2) == "retry after rate_limited: slow down"
    assert (await bench.task()).output == ""


async def test_a_lost_worker_means_another_attempt_at_once(bench: Bench) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), RunLost(W1, "gone"))
    bench.router.script(RunAssigned(W2, "default", "only one"), RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED)
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert await bench.reason(2) == "worker w1 was lost"
    assert (await bench.task()).worker == W2


async def test_a_task_that_takes_down_three_workers_is_poison(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(max_attempts=10)))
    empty.router.script(ASSIGNED, RunLost(W1, "gone"))
    empty.router.script(ASSIGNED, RunReport(BUSY, 0))
    empty.router.script(ASSIGNED, RunReport(HandedBack("draining"), 0))
    empty.router.script(ASSIGNED, RunLost(W1, "gone"))
    empty.router.script(ASSIGNED, RunLost(W2, "gone"))
    outcomes = [(await empty.run()).state for _ in range(5)]
    assert outcomes == [TaskState.QUEUED] * 4 + [TaskState.FAILED]
    failure = (await empty.task()).failure
    assert failure
    assert failure.reason is FailureReason.POISON
    reasons = [await empty.reason(number) for number in range(1, 6)]
    assert reasons == [
        "first attempt",
        "worker w1 was lost",
        "retry after rate_limited: slow down",
        "handed back by its worker",
        "worker w1 was lost",
    ]


async def test_a_hand_back_burns_no_attempt(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(HandedBack("draining", retry_after=3.0), 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED, 3.0)
    task = await bench.task()
    assert (task.burnt, task.failure, task.attempt) == (0, None, 1)


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


async def test_an_attempt_without_a_worker_says_that_the_router_is_away(bench: Bench) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.append((await bench.task()).wait_reason)

    bench.router.script(Unavailable("gone"))
    bench.router.script(look, ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    assert seen == ["the Router cannot be reached at the moment"]


async def test_a_full_router_is_asked_again_when_it_said(bench: Bench) -> None:
    seen: list[tuple[TaskState, str]] = []

    async def look() -> None:
        task = await bench.task()
        seen.append((task.state, task.wait_reason))

    bench.router.script(ResourceExhausted("9 runs wait", retry_after=5.0))
    bench.router.script(look, ASSIGNED, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.clock.slept == [5.0]
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
    await bench.store.begin_attempt("p-1.a", after=0, reason="first attempt")
    await bench.store.note_assigned("p-1.a", 1, W1, "default", "why", bench.clock.now())
    await bench.token_store.append([("p-1.a", 1, tokens(1, "Hel", "lo").batch)])
    bench.router.script(ASSIGNED, tokens(3, "!"), RunReport(DONE, 3))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    (dispatched,) = bench.router.dispatched
    assert (dispatched.run.task.attempt, dispatched.last_seq, dispatched.assigned) == (1, 2, W1)
    assert (await bench.task()).output == "Hello!"


async def test_a_driver_that_died_before_its_acknowledgement_is_made_up_for(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    bench.router.acknowledged.clear()
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)
    assert bench.router.acknowledged == [("p-1.a", 1, 0, True)]
    assert len(bench.router.dispatched) == 1


async def test_a_step_of_a_cancelled_plan_is_not_begun(bench: Bench) -> None:
    await bench.store.request_cancel("p-1", bench.clock.now())
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert (await bench.task()).attempt == 0
    assert bench.router.dispatched == []


async def test_a_cancelled_attempt_that_no_worker_has_ends_without_the_router(bench: Bench) -> None:
    async def cancel() -> None:
        await bench.store.request_cancel("p-1", bench.clock.now())

    bench.router.cancel_error = Unavailable("gone")
    bench.router.script(cancel, Unavailable("gone"))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert len(bench.router.dispatched) == 1


async def test_a_cancel_that_came_before_the_router_knew_the_attempt_is_repeated(bench: Bench) -> None:
    async def cancel() -> None:
        await bench.store.request_cancel("p-1", bench.clock.now())

    bench.router.script(cancel, ASSIGNED, RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert bench.router.cancelled == [("p-1.a", 1)]


async def test_a_new_driver_of_a_cancelled_attempt_tells_the_router_and_waits_for_the_worker(bench: Bench) -> None:
    await bench.store.begin_attempt("p-1.a", after=0, reason="first attempt")
    await bench.store.note_assigned("p-1.a", 1, W1, "default", "why", bench.clock.now())
    await bench.store.request_cancel("p-1", bench.clock.now())
    bench.router.script(RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.CANCELLED)
    assert bench.router.cancelled == [("p-1.a", 1)]


async def test_a_worker_that_finished_before_the_cancel_reached_it_has_succeeded(bench: Bench) -> None:
    async def cancel() -> None:
        await bench.store.request_cancel("p-1", bench.clock.now())

    bench.router.script(ASSIGNED, cancel, RunReport(DONE, 0))
    assert await bench.run() == StepOutcome(TaskState.SUCCEEDED)


async def test_a_cancellation_nobody_asked_for_is_a_loss(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(Cancelled(), 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED)
    failure = (await bench.task()).failure
    assert failure
    assert failure.message == "worker w1 was lost: it stopped the run though nobody asked for it"


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
    await asyncio.wait_for(begun.wait(), 5)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert bench.router.closed == 1
    assert (await bench.task()).attempt_open
    assert bench.router.cancelled == []
