"""What happened between two looks at a task, a worker or the queues. Knows nothing of terminals."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from devteam.models import Plan, Task, TaskState, WorkerInfo, WorkerStatus
from devteam.routing import Routing
from devteam_cli.render import note, placement, summary
from devteam_cli.text import span

KINDS = (
    *("mesh.interrupted", "mesh.back"),
    *("worker.joined", *(f"worker.{status}" for status in WorkerStatus if status != "unknown"), "worker.left"),
    *("queue.paused", "queue.resumed"),
    *("plan.began", "plan.succeeded", "plan.failed", "plan.cancelled", "plan.gone"),
    *("task.queued", "task.waits", "task.placed", "task.retried", "task.cancelling"),
    *("task.succeeded", "task.failed", "task.cancelled", "task.skipped", "task.gone"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened. `at` is the mesh's word where it has one, else when it was seen."""

    at: datetime
    kind: str
    text: str
    task_id: str = ""
    plan_id: str = ""
    worker_id: str = ""
    queue: str = ""
    attempt: int = 0
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """What it happened to."""
        kind = self.kind.partition(".")[0]
        return {"task": self.task_id, "plan": self.plan_id, "worker": self.worker_id, "queue": self.queue}.get(kind, "")


def of_task(before: Task | None, task: Task, since: datetime, now: datetime) -> Iterator[Happening]:
    """What became of a task; of one that was not seen before, what happened since."""
    if before is None:
        yield from _history(task, since, now)
        return
    if before.state is TaskState.PENDING and task.depends_on and task.attempt:
        yield _queued(task, now)
    if task.cancel_trail and not before.cancel_trail:
        yield _of(task, "task.cancelling", task.cancel_trail.requested_at or now, "is asked to stop")
    if words := _setback(before, task):
        yield _of(before, "task.retried", now, words)
    if task.state is TaskState.QUEUED and _waits_anew(before, task):
        yield _of(task, "task.waits", now, task.wait_reason)
    if _is_placed(before, task):
        first = before.started_at is None and task.attempt == 1
        yield _placed(task, (first and task.started_at) or now)
    if task.state.ended and not before.state.ended:
        yield _ended(task, task.ended_at or now)


def of_worker(before: WorkerInfo | None, worker: WorkerInfo, since: datetime, now: datetime) -> Iterator[Happening]:
    """What became of a worker; one that was not seen before joined when it registered."""
    if worker.registered_at and worker.registered_at >= since and _is_newcomer(before, worker):
        yield _of_worker(worker, "worker.joined", worker.registered_at, _abilities(worker))
    was = before.status if before else WorkerStatus.HEALTHY
    if before is not None and worker.status is not was:
        reason = worker.status_reason if worker.status is not WorkerStatus.HEALTHY else f"again, was {was.value}"
        yield _of_worker(worker, f"worker.{worker.status.value}", now, reason)


def of_leaver(worker_id: str, reason: str, now: datetime) -> Happening:
    """A worker left."""
    return Happening(at=now, kind="worker.left", text=reason, worker_id=worker_id)


def of_queues(before: Routing | None, routing: Routing, now: datetime) -> Iterator[Happening]:
    """Which queues operators paused, or let go on."""
    if before is None:
        return
    was, paused = _paused(before), _paused(routing)
    for name in sorted(was ^ paused):
        kind = "queue.paused" if name in paused else "queue.resumed"
        yield Happening(at=now, kind=kind, queue=name, text="starts nothing" if name in paused else "goes on")


def of_plan_begun(task: Task, at: datetime) -> Happening:
    """A plan began, as one of its tasks tells."""
    return Happening(at=at, kind="plan.began", plan_id=task.plan_id, text=task.plan_name)


def of_plan_ended(plan: Plan) -> Happening | None:
    """A plan ended, as its tasks tell; None while one has not."""
    return of_tasks_ended(plan.tasks, cancelled=plan.cancel_requested_at is not None)


def of_tasks_ended(tasks: Iterable[Task], *, cancelled: bool = False) -> Happening | None:
    """The plan of these tasks ended; None while one has not."""
    steps = list(tasks)
    ends = [task.ended_at for task in steps if task.ended_at]
    if not ends or not all(task.state.ended for task in steps):
        return None
    done = sum(task.state is TaskState.SUCCEEDED for task in steps)
    cancelled = cancelled or any(task.cancel_trail for task in steps)
    state = "succeeded" if done == len(steps) else "cancelled" if cancelled else "failed"
    began = min(task.created_at or max(ends) for task in steps)
    text = f"{done} of {len(steps)} steps · {span(max(ends) - began)}"
    name = f"{steps[0].plan_name} · " if steps[0].plan_name else ""
    return Happening(at=max(ends), kind=f"plan.{state}", plan_id=steps[0].plan_id, text=f"{name}{text}")


def _history(task: Task, since: datetime, now: datetime) -> Iterator[Happening]:
    if task.created_at and task.created_at >= since and not task.depends_on:
        yield _queued(task, task.created_at)
        if task.state is TaskState.QUEUED and task.wait_reason:  # as it is now; what it was before is not known
            yield _of(task, "task.waits", now, task.wait_reason)
    if task.started_at and task.started_at >= since and task.worker_id:
        yield _placed(task, task.started_at)
    if task.ended_at and task.ended_at >= since:
        yield _ended(task, task.ended_at)


def _queued(task: Task, at: datetime) -> Happening:
    queue = task.queue or task.spec.queue
    return _of(task, "task.queued", at, f"{task.model} in {queue}" if queue else task.model)


def _setback(before: Task, task: Task) -> str:
    """What is to be said of an attempt that ran, and no longer does though the task goes on; empty for none."""
    same = task.attempt == before.attempt
    if before.state is not TaskState.RUNNING or task.state.ended or (same and task.state is TaskState.RUNNING):
        return ""
    attempt = f"attempt {before.attempt}"
    if not same:  # the next one has begun, and why is no longer told
        return f"{attempt} on {before.worker_id} is over; attempt {task.attempt} follows"
    if task.failure:
        return f"{attempt} on {before.worker_id} failed: {note(task)}; another follows"
    return f"{attempt} left {before.worker_id}: {task.wait_reason}"


def _waits_anew(before: Task, task: Task) -> bool:
    if before.attempt == task.attempt and before.state is TaskState.RUNNING:
        return False
    return bool(task.wait_reason) and (before.attempt, before.wait_reason) != (task.attempt, task.wait_reason)


def _is_placed(before: Task, task: Task) -> bool:
    if not task.worker_id or task.state in {TaskState.PENDING, TaskState.QUEUED, TaskState.SKIPPED}:
        return False
    return (before.attempt, before.worker_id) != (task.attempt, task.worker_id)


def _placed(task: Task, at: datetime) -> Happening:
    attempt = f"attempt {task.attempt} " if task.attempt > 1 else ""
    return _of(task, "task.placed", at, f"{attempt}on {placement(task)}")


def _ended(task: Task, at: datetime) -> Happening:
    words = summary(task) if task.completion else note(task)
    length = task.ended_at - task.started_at if task.ended_at and task.started_at else None
    usage = task.completion.usage if task.completion else task.failure.usage if task.failure else task.usage
    details: dict[str, object] = {"seconds": length and length.total_seconds()}
    if usage:
        details |= {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost_usd": usage.cost_usd,
        }
    if task.failure:
        details["reason"] = task.failure.reason.value
    return _of(task, f"task.{task.state.value}", at, words.removeprefix(f"{task.state.value} · "), details)


def _of(task: Task, kind: str, at: datetime, text: str, details: Mapping[str, object] | None = None) -> Happening:
    return Happening(
        at=at,
        kind=kind,
        text=text,
        task_id=task.id,
        plan_id=task.plan_id if task.plan_id != task.id else "",
        worker_id=task.worker_id,
        queue=task.queue,
        attempt=task.attempt,
        details=details or {},
    )


def _is_newcomer(before: WorkerInfo | None, worker: WorkerInfo) -> bool:
    return before is None or before.registered_at != worker.registered_at


def _abilities(worker: WorkerInfo) -> str:
    slots = f"{worker.concurrency} slot{'' if worker.concurrency == 1 else 's'}"
    queues = f" for {', '.join(worker.queues)}" if worker.queues else ""
    return f"{slots}{queues}, models {', '.join(worker.models) or 'all'}"


def _of_worker(worker: WorkerInfo, kind: str, at: datetime, text: str) -> Happening:
    return Happening(at=at, kind=kind, text=text, worker_id=worker.id)


def _paused(routing: Routing) -> set[str]:
    return {policy.name for policy in routing.queues if policy.paused}
