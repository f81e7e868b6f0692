"""What follows when an attempt ends without a completion."""

from dataclasses import dataclass

from devteam_planner.domain import (
    Cancelled,
    Failure,
    FailureReason,
    GivenBack,
    HandedBack,
    OnWorkerLoss,
    Task,
    TaskState,
    Usage,
)
from devteam_planner.ports import Ending, RunLost

# A task that took down this many workers is not given another.
POISONOUS_LOSSES = 3

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_MOST_DOUBLINGS = 6
_LOST = " was lost"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the attempt ends, and how many seconds from then the next one is due (if `ending.state` is QUEUED)."""

    ending: Ending
    retry_after: float = 0.0


def verdict(
    task: Task, outcome: Failure | HandedBack | RunLost | Cancelled, *, cancelling: bool, losses: int, jitter: float
) -> Verdict:
    """Decide about the open attempt of `task`.

    `cancelling`: somebody asked for the plan to stop. `losses`: earlier attempts of the task whose worker vanished.
    `jitter`: 0 to 1, spreads the pauses of tasks that failed together.
    """
    match outcome:
        case Failure() if not outcome.retryable:
            return Verdict(Ending(TaskState.FAILED, burns=True, failure=outcome))
        case _ if cancelling:
            spent = Usage() if isinstance(outcome, RunLost) else outcome.usage
            return Verdict(Ending(TaskState.CANCELLED, burns=False, stopped=_stopped(task, outcome), spent=spent))
        case Failure():
            return _failed(task, outcome, jitter)
        case HandedBack():
            return _handed_back(task, outcome, jitter)
        case RunLost(never_began=True) if task.spec.policy.on_worker_loss is not OnWorkerLoss.FAIL:
            return _not_begun(task, outcome, jitter)
        case RunLost():
            return _lost(task, outcome.worker.worker_id, outcome.message, losses, Usage())
        case Cancelled():
            worker_id = task.worker.worker_id if task.worker else "unknown"
            return _lost(task, worker_id, "it stopped the run though nobody asked for it", losses, outcome.usage)


def attempt_reason(task: Task) -> str:
    """Why the attempt after the newest one of `task` is begun, from what is stored."""
    if task.attempt == 0:
        return "first attempt"
    if task.failure is None:
        return task.wait_reason or "handed back by its worker"
    if task.failure.reason is FailureReason.WORKER_LOST:
        return f"worker {task.worker.worker_id if task.worker else 'unknown'}{_LOST}"
    return f"retry after {task.failure.reason}: {task.failure.message}"


def brief(reason: str) -> str:
    """A reason of `attempt_reason` without what a worker or a provider said, who may quote a prompt."""
    return reason.partition(":")[0]


def tells_of_loss(reason: str) -> bool:
    """Whether an attempt with this reason was begun because a worker vanished."""
    return reason.startswith("worker ") and reason.endswith(_LOST)


def _stopped(task: Task, outcome: Failure | HandedBack | RunLost | Cancelled) -> Cancelled | None:
    """The worker's word that it has stopped; None when no worker had it, or it vanished without a word."""
    if task.worker is None or isinstance(outcome, RunLost):
        return None
    return Cancelled(outcome.took if isinstance(outcome, Cancelled) else None)


def _failed(task: Task, failure: Failure, jitter: float) -> Verdict:
    if _exhausted(task):
        return Verdict(Ending(TaskState.FAILED, burns=True, failure=failure))
    retry_after = max(failure.retry_after or 0.0, _pause(task.burnt, jitter))
    return Verdict(Ending(TaskState.QUEUED, burns=True, failure=failure), retry_after)


def _handed_back(task: Task, outcome: HandedBack, jitter: float) -> Verdict:
    worker_id = task.worker.worker_id if task.worker else "unknown"
    why = f"handed back by worker {worker_id}: {outcome.message}"
    ending = Ending(TaskState.QUEUED, burns=False, wait_reason=why, given_back=outcome.reason, spent=outcome.usage)
    if outcome.provider and outcome.retry_after:
        # The Routers keep the whole model waiting. The next attempt waits in their sight, not unseen in a timer.
        return Verdict(ending)
    return Verdict(ending, max(outcome.retry_after or 0.0, _pause_between_free_ones(task, jitter)))


def _not_begun(task: Task, outcome: RunLost, jitter: float) -> Verdict:
    why = f"its router was lost before worker {outcome.worker.worker_id} began"
    ending = Ending(TaskState.QUEUED, burns=False, wait_reason=why, given_back=GivenBack.NEVER_BEGAN)
    return Verdict(ending, _pause_between_free_ones(task, jitter))


def _pause_between_free_ones(task: Task, jitter: float) -> float:
    """The first attempt that costs nothing is free; a task that is given back again and again must not spin."""
    earlier = task.attempt - task.burnt - 1
    return _pause(earlier - 1, jitter) if earlier > 0 else 0.0


def _lost(task: Task, worker_id: str, message: str, losses: int, usage: Usage) -> Verdict:
    if losses + 1 >= POISONOUS_LOSSES:
        text = (
            f"its worker vanished in each of {losses + 1} attempts, the last time {worker_id}: {message}. The task may "
            "be what brings workers down, so it is not tried again"
        )
        poison = Failure(FailureReason.POISON, text, usage=usage)
        return Verdict(Ending(TaskState.FAILED, burns=True, failure=poison))
    failure = Failure(FailureReason.WORKER_LOST, f"worker {worker_id}{_LOST}: {message}", retryable=True, usage=usage)
    final = task.spec.policy.on_worker_loss is OnWorkerLoss.FAIL or _exhausted(task)
    return Verdict(Ending(TaskState.FAILED if final else TaskState.QUEUED, burns=True, failure=failure))


def _exhausted(task: Task) -> bool:
    return task.burnt + 1 >= task.spec.policy.max_attempts


def _pause(doublings: int, jitter: float) -> float:
    longest = min(_FIRST_PAUSE * 2.0 ** min(doublings, _MOST_DOUBLINGS), _LONGEST_PAUSE)
    return longest * (0.5 + jitter / 2)
