"""What follows when an attempt ends without a completion."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from devteam_planner.domain import (
    Cancelled,
    Failure,
    FailureReason,
    GivenBack,
    HandedBack,
    OnWorkerLoss,
    RunPolicy,
    Task,
    TaskSpec,
    TaskState,
    Usage,
    WorkerInstance,
)
from devteam_planner.ports import Ending, RunLost
from devteam_planner.retry_policy import Verdict, attempt_reason, tells_of_loss, verdict

W1 = WorkerInstance("w1", "i1")
LOST = RunLost(W1, "its link broke")
LOSS = Failure(FailureReason.WORKER_LOST, "worker w1 was lost: its link broke", retryable=True)
BUSY = Failure(FailureReason.RATE_LIMITED, "slow down", retryable=True)
USED = Usage(100, 5, 60, 20, 0.25)


def a_task(
    *, attempt: int = 1, burnt: int = 0, policy: RunPolicy | None = None, failure: Failure | None = None
) -> Task:
    return Task(
        task_id="p-1.a",
        plan_id="p-1",
        step_id="a",
        position=0,
        spec=TaskSpec(prompt="hi", model="sim", policy=policy or RunPolicy()),
        depends_on=(),
        state=TaskState.RUNNING,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        attempt=attempt,
        attempt_open=True,
        burnt=burnt,
        worker=W1 if attempt else None,
        failure=failure,
    )


def decide(
    task: Task,
    outcome: Failure | HandedBack | RunLost | Cancelled,
    *,
    cancelling: bool = False,
    losses: int = 0,
    jitter: float = 1.0,
) -> Verdict:
    return verdict(task, outcome, cancelling=cancelling, losses=losses, jitter=jitter)


def test_a_failure_that_cannot_be_helped_ends_the_task() -> None:
    refused = Failure(FailureReason.REFUSED, "no")
    assert decide(a_task(), refused) == Verdict(Ending(TaskState.FAILED, burns=True, failure=refused))


@pytest.mark.parametrize(
    ("burnt", "jitter", "pause"), [(0, 1.0, 1.0), (0, 0.0, 0.5), (1, 1.0, 2.0), (5, 1.0, 32.0), (6, 1.0, 60.0)]
)
def test_a_retryable_failure_waits_from_one_second_doubling_to_a_minute(
    burnt: int, jitter: float, pause: float
) -> None:
    task = a_task(attempt=burnt + 1, burnt=burnt, policy=RunPolicy(max_attempts=20))
    expected = Verdict(Ending(TaskState.QUEUED, burns=True, failure=BUSY), pause)
    assert decide(task, BUSY, jitter=jitter) == expected


def test_a_provider_that_names_a_longer_wait_is_obeyed() -> None:
    asked = Failure(FailureReason.RATE_LIMITED, "slow down", retryable=True, retry_after=30.0)
    assert decide(a_task(), asked).retry_after == 30.0


def test_the_last_attempt_s_failure_ends_the_task() -> None:
    assert decide(a_task(attempt=3, burnt=2), BUSY) == Verdict(Ending(TaskState.FAILED, burns=True, failure=BUSY))


def test_a_lost_worker_means_another_attempt_at_once() -> None:
    assert decide(a_task(), LOST) == Verdict(Ending(TaskState.QUEUED, burns=True, failure=LOSS))


@pytest.mark.parametrize(("attempt", "pause"), [(1, 0.0), (2, 1.0), (3, 2.0)])
def test_what_no_worker_began_costs_nothing_and_does_not_spin(attempt: int, pause: float) -> None:
    why = "its router was lost before worker w1 began"
    decided = decide(a_task(attempt=attempt), replace(LOST, never_began=True))
    ending = Ending(TaskState.QUEUED, burns=False, wait_reason=why, given_back=GivenBack.NEVER_BEGAN)
    assert decided == Verdict(ending, pause)


def test_what_perhaps_somebody_else_began_ends_a_task_that_must_not_run_twice() -> None:
    task = a_task(policy=RunPolicy(on_worker_loss=OnWorkerLoss.FAIL))
    assert decide(task, replace(LOST, never_began=True)).ending.state is TaskState.FAILED


def test_a_lost_worker_ends_a_task_that_must_not_run_twice() -> None:
    task = a_task(policy=RunPolicy(on_worker_loss=OnWorkerLoss.FAIL))
    assert decide(task, LOST) == Verdict(Ending(TaskState.FAILED, burns=True, failure=LOSS))


def test_a_lost_worker_ends_a_task_that_has_no_attempts_left() -> None:
    task = a_task(attempt=2, burnt=1, policy=RunPolicy(max_attempts=2))
    assert decide(task, LOST, losses=1) == Verdict(Ending(TaskState.FAILED, burns=True, failure=LOSS))


def test_the_third_lost_worker_makes_a_task_poison() -> None:
    task = a_task(attempt=3, burnt=2, policy=RunPolicy(max_attempts=20))
    text = (
        "its worker vanished in each of 3 attempts, the last time w1: its link broke. The task may be what brings "
        "workers down, so it is not tried again"
    )
    poison = Failure(FailureReason.POISON, text)
    assert decide(task, LOST, losses=2) == Verdict(Ending(TaskState.FAILED, burns=True, failure=poison))


@pytest.mark.parametrize(
    ("attempt", "burnt", "pause"), [(1, 0, 0.0), (2, 0, 1.0), (3, 1, 1.0), (3, 0, 2.0), (50, 0, 60.0), (5000, 0, 60.0)]
)
def test_a_hand_back_burns_nothing_and_is_slow_only_when_repeated(attempt: int, burnt: int, pause: float) -> None:
    task = a_task(attempt=attempt, burnt=burnt)
    why = "handed back by worker w1: draining"
    ending = Ending(TaskState.QUEUED, burns=False, wait_reason=why, given_back=GivenBack.DRAINING)
    expected = Verdict(ending, pause)
    assert decide(task, HandedBack("draining", reason=GivenBack.DRAINING)) == expected


def test_a_hand_back_may_name_its_own_wait() -> None:
    assert decide(a_task(), HandedBack("rate limited", retry_after=7.0)).retry_after == 7.0


def test_what_a_provider_keeps_waiting_waits_at_the_router() -> None:
    """However often it was handed back before, and without burning an attempt."""
    why = "handed back by worker w1: slow down"
    expected = Verdict(Ending(TaskState.QUEUED, burns=False, wait_reason=why, given_back=GivenBack.RATE_LIMITED))
    throttled = HandedBack("slow down", 30.0, "anthropic", GivenBack.RATE_LIMITED)
    assert decide(a_task(attempt=50), throttled) == expected


@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_a_provider_that_names_no_wait_is_not_asked_in_a_loop(retry_after: float | None) -> None:
    asked = HandedBack("slow down", retry_after=retry_after, provider="anthropic")
    assert decide(a_task(attempt=3), asked).retry_after == 2.0


@pytest.mark.parametrize(
    ("outcome", "stopped"),
    [
        (Cancelled(0.02), Cancelled(0.02)),
        (LOST, None),
        (BUSY, Cancelled()),
        (HandedBack("draining"), Cancelled()),
    ],
)
def test_a_cancelled_plan_makes_nothing_run_again(
    outcome: Failure | HandedBack | RunLost | Cancelled, stopped: Cancelled | None
) -> None:
    """Any last word of the worker says that it has stopped; only a cancellation says how long that took."""
    expected = Verdict(Ending(TaskState.CANCELLED, burns=False, stopped=stopped))
    assert decide(a_task(), outcome, cancelling=True) == expected


@pytest.mark.parametrize(
    "outcome", [Cancelled(0.02, USED), replace(BUSY, usage=USED), HandedBack("draining", usage=USED)]
)
def test_what_a_cancelled_run_took_is_known_by_whatever_its_worker_said_last(
    outcome: Failure | HandedBack | Cancelled,
) -> None:
    assert decide(a_task(), outcome, cancelling=True).ending.spent == USED


def test_what_a_run_took_is_known_though_nobody_had_asked_it_to_stop() -> None:
    for losses in (0, 2):
        failure = decide(a_task(), Cancelled(0.02, USED), losses=losses).ending.failure
        assert failure
        assert failure.usage == USED


def test_a_run_that_no_worker_had_was_not_stopped_by_one() -> None:
    expected = Verdict(Ending(TaskState.CANCELLED, burns=False))
    assert decide(replace(a_task(), worker=None), Cancelled(), cancelling=True) == expected


def test_a_cancellation_nobody_asked_for_counts_as_a_loss() -> None:
    message = "worker w1 was lost: it stopped the run though nobody asked for it"
    failure = Failure(FailureReason.WORKER_LOST, message, retryable=True)
    assert decide(a_task(), Cancelled()) == Verdict(Ending(TaskState.QUEUED, burns=True, failure=failure))


@pytest.mark.parametrize(
    ("attempt", "failure", "reason"),
    [
        (0, None, "first attempt"),
        (1, None, "handed back by its worker"),
        (1, LOSS, "worker w1 was lost"),
        (1, BUSY, "retry after rate_limited: slow down"),
    ],
)
def test_watchers_are_told_why_an_attempt_begins(attempt: int, failure: Failure | None, reason: str) -> None:
    assert attempt_reason(a_task(attempt=attempt, failure=failure)) == reason


def test_reasons_tell_of_losses() -> None:
    assert tells_of_loss(attempt_reason(a_task(failure=LOSS)))
    assert not tells_of_loss(attempt_reason(a_task(failure=BUSY)))
    assert not tells_of_loss("retry after handler: my file was lost")
