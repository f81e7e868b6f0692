"""Workers and runs for the Router's tests, and the words in which its events read best."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from devteam_router.dispatch import (
    AssignedTo,
    Event,
    HasStarted,
    NeverRan,
    Reported,
    TokenBatch,
    ToldToStop,
    Waits,
    WasLost,
)
from devteam_router.domain import AttemptId, Run, Signature, Worker, WorkerInstance, WorkerQueue


def token_of(worker_id: str) -> str:
    """The session token of `a_worker` of that id."""
    return f"token-of-{worker_id}"


def a_worker(
    worker_id: str = "w1",
    *,
    instance: str = "i1",
    queues: Mapping[str, int | WorkerQueue] | None = None,
    concurrency: int | None = None,
    **rest: Any,
) -> Worker:
    """A healthy worker; queues as a map from names to slots, two of `default` unless said otherwise."""
    served = {
        name: queue if isinstance(queue, WorkerQueue) else WorkerQueue(name, queue)
        for name, queue in (queues or {"default": 2}).items()
    }
    return Worker(
        WorkerInstance(worker_id, instance),
        served,
        concurrency=concurrency or sum(queue.concurrency for queue in served.values()),
        session_digest=hashlib.sha256(token_of(worker_id).encode()).hexdigest(),
        **rest,
    )


def a_signature(*queues: str, model: str = "haiku", **rest: Any) -> Signature:
    """What placement looks at; out of `default` unless said otherwise."""
    return Signature(queues or ("default",), model, **rest)


def a_run(
    task_id: str = "t1",
    attempt: int = 1,
    *,
    signature: Signature | None = None,
    priority: int = 3,
    schedule_within: float | None = None,
    tenant: str = "default",
) -> Run:
    """An attempt that looks for a worker."""
    payload = f"payload of {task_id}/{attempt}"
    return Run(AttemptId(task_id, attempt), signature or a_signature(), payload, priority, schedule_within, tenant)


def tokens(first_seq: int, last_seq: int, *, size: int = 10) -> TokenBatch:
    """A batch of tokens from one seq to another, both included."""
    return TokenBatch(first_seq, last_seq, size, f"{first_seq}-{last_seq}")


def story(events: Sequence[Event]) -> list[str]:
    """What a Planner heard, a few words for each event."""
    return [_words(event) for event in events]


def _words(event: Event) -> str:
    match event:
        case Waits(wait):
            return f"waits: {wait.reason}"
        case AssignedTo(worker, _, adopted):
            return f"{'adopted on' if adopted else 'assigned to'} {worker.worker_id}"
        case HasStarted():
            return "started"
        case TokenBatch(first_seq, last_seq):
            return f"tokens {first_seq}-{last_seq}"
        case Reported(last_seq):
            return f"report after {last_seq}"
        case NeverRan(cancelled):
            return "cancelled" if cancelled else "out of time"
        case WasLost(worker) | ToldToStop(worker):
            return f"{'lost with' if isinstance(event, WasLost) else 'stop told to'} {worker.worker_id}"
