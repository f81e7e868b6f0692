"""The step driver: attempts from their beginning to their end."""

from dataclasses import replace

import pytest
from devteam_planner.domain import (
    MAX_OUTPUT_BYTES,
    Failure,
    FailureReason,
    HandedBack,
    OnWorkerLoss,
    RunPolicy,
    StepOutcome,
    TaskSpec,
    TaskState,
)
from devteam_planner.ports import RunAssigned, RunLost, RunReport, RunWaiting

from tests.fakes.step_bench import ASSIGNED, BUSY, DONE, W1, W2, Bench, tokens


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
    assert bench.ended == [("p-1.a", 3)]


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
        "handed back by worker w1: draining",
        "worker w1 was lost",
    ]


async def test_a_hand_back_burns_no_attempt(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(HandedBack("draining", retry_after=3.0), 0))
    assert await bench.run() == StepOutcome(TaskState.QUEUED, 3.0)
    task = await bench.task()
    assert (task.burnt, task.failure, task.attempt) == (0, None, 1)
    assert task.wait_reason == "handed back by worker w1: draining"


async def test_hand_backs_never_use_up_the_attempts(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(max_attempts=1)))
    for _ in range(5):
        empty.router.script(ASSIGNED, RunReport(HandedBack("rate limited by the provider"), 0))
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    outcomes = [(await empty.run()).state for _ in range(6)]
    assert outcomes == [TaskState.QUEUED] * 5 + [TaskState.SUCCEEDED]
    assert await empty.reason(6) == "handed back by worker w1: rate limited by the provider"


async def test_a_task_that_must_not_run_twice_fails_with_its_worker(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(on_worker_loss=OnWorkerLoss.FAIL)))
    empty.router.script(ASSIGNED, tokens(1, "Hel"), RunLost(W1, "gone"))
    assert await empty.run() == StepOutcome(TaskState.FAILED)
    failure = (await empty.task()).failure
    assert failure
    assert (failure.reason, failure.message) == (FailureReason.WORKER_LOST, "worker w1 was lost: gone")
