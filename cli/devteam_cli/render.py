"""Tables and short descriptions for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from devteam.models import Plan, Task, Usage, Vitals, WorkerInfo, WorkerStatus
from devteam_cli.cancel_view import CancelView
from devteam_cli.text import ago, clock, left, printable, span

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {
    "healthy": "green",
    "succeeded": "green",
    "running": "cyan",
    "queued": "yellow",
    "suspect": "yellow",
    "cordoned": "yellow",
    "draining": "yellow",
    "paused": "yellow",
    "unhealthy": "red",
    "lost": "red",
    "failed": "red",
    "cancelled": "magenta",
    "passed": "green",
    "skipped": "yellow",
    "ok": "green",
    "warning": "yellow",
    "problem": "red",
    "valid": "green",
    "expired": "yellow",
    "revoked": "red",
}

_IN_DOUBT = {WorkerStatus.SUSPECT, WorkerStatus.UNHEALTHY, WorkerStatus.LOST}

# Columns that give way when the terminal is narrow.
_WRAPPED = {
    "QUEUES",
    "MODELS",
    "NOTE",
    "WHY",
    "MERITS",
    "VERDICT",
    "TENANTS",
    "EXPECTED",
    "SEEN",
    "STANDS ON",
    "FOUND",
    "FIX",
}


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], styled: str = "") -> "Table":
    """Columns under their titles; the column named `styled` holds states and shows their colour."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        made.add_column(title, overflow="fold", no_wrap=title not in _WRAPPED)
    for row in rows:
        made.add_row(
            *(
                Text(printable(cell), STYLES.get(cell, "") if title == styled else "")
                for title, cell in zip(titles, row, strict=True)
            )
        )
    return made


def workers_table(workers: Iterable[WorkerInfo], now: datetime | None = None) -> "Table":
    """Workers: how they are, what they do, what they can do."""
    titles = ("ID", "STATUS", "ACTIVE/CAP", "QUEUES", "MODELS", "GPU", "LAST BEAT", "UPTIME", "NEXT", "WHY")
    return table(titles, (_worker_row(worker, now) for worker in workers), "STATUS")


def tasks_table(tasks: Iterable[Task], *, steps: bool = False) -> "Table":
    """Tasks, or (`steps`) the tasks of one plan."""
    titles = ("STEP" if steps else "ID", "STATE", "MODEL", "QUEUE", "WORKER", "ATTEMPT", "CREATED", "NOTE")
    rows = (
        (
            task.step_id if steps else task.id,
            task.state.value,
            task.model,
            task.queue or task.spec.queue or "-",
            task.worker_id or "-",
            str(task.attempt),
            ago(task.created_at),
            note(task),
        )
        for task in tasks
    )
    return table(titles, rows, "STATE")


def plans_table(plans: Iterable[Plan]) -> "Table":
    """Plans without their steps."""
    rows = ((plan.id, plan.name, plan.state.value, ago(plan.created_at)) for plan in plans)
    return table(("ID", "NAME", "STATE", "CREATED"), rows, "STATE")


def details(pairs: Iterable[tuple[str, str]]) -> "Table":
    """Names and values, one pair a line; empty values left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2, 0, 0))
    for name, value in pairs:
        if value:
            made.add_row(Text(name, "bold"), Text(printable(value)))
    return made


def worker_details(worker: WorkerInfo) -> "Table":
    """All about one worker."""
    machine = f"{worker.cpu_cores} cores, {worker.ram_gb:g} GB"
    return details(
        (
            ("id", worker.id),
            ("status", worker.status.value),
            ("why", worker.status_reason),
            ("next", _pending(worker)),
            ("drain until", clock(worker.drain_deadline_at) if worker.drain_deadline_at else ""),
            ("router", worker.router_id),
            ("active", f"{worker.active_tasks} of {worker.concurrency}"),
            ("queues", ", ".join(worker.queues)),
            ("models", ", ".join(worker.models) or "all"),
            ("local models", ", ".join(worker.local_models)),
            ("weight", f"{worker.weight:g}"),
            ("machine", f"{machine}, {_gpu(worker)}" if worker.gpu else machine),
            ("free", _free(worker.vitals)),
            ("aliases", ", ".join(f"{alias}={model}" for alias, model in worker.model_aliases.items())),
            ("tools", ", ".join(worker.tools)),
            ("data", ", ".join(worker.data_sources)),
            ("labels", ", ".join(f"{key}={value}" for key, value in worker.labels.items())),
            ("version", worker.version),
            ("last beat", ago(worker.last_heartbeat)),
            ("uptime", span(worker.uptime)),
        )
    )


def _free(vitals: Vitals | None) -> str:
    if vitals is None:
        return ""
    memory = f"memory {vitals.memory_available / 1e9:.1f} of {vitals.memory_total / 1e9:.1f} GB"
    return f"{memory}, disk {vitals.disk_free / 1e9:.1f} of {vitals.disk_total / 1e9:.1f} GB"


def placement(task: Task) -> str:
    """The worker that has it, and why; empty while none has."""
    worker, reason = task.worker_id, task.placement_reason
    if not worker or not reason:
        return worker
    # Most reasons name the worker themselves, and go on.
    own = reason.removeprefix(f"placed on {worker} ")
    return f"{worker} {own}" if own != reason else f"{worker}: {reason}"


def task_details(task: Task) -> "Table":
    """All about one task but for its output."""
    return details(
        (
            ("id", task.id),
            ("plan", f"{task.plan_id} (step {task.step_id})" if task.plan_id != task.id else ""),
            ("state", task.state.value),
            ("note", note(task)),
            ("model", task.model),
            ("queue", task.queue or task.spec.queue),
            ("worker", placement(task)),
            ("attempt", str(task.attempt)),
            ("created", ago(task.created_at)),
            ("cancel", ", ".join(" ".join(line.split()) for line in CancelView().news(task))),
            ("result", summary(task) if task.completion or (task.usage and task.ended_at) else ""),
        )
    )


def summary(task: Task) -> str:
    """One line on how a task ended: where, and what it took."""
    parts = [task.state.value]
    if task.worker_id:
        parts.append(f"worker {task.worker_id}")
    if task.attempt > 1:
        parts.append(f"attempt {task.attempt}")
    if task.completion:
        parts += [task.completion.model, _counted(task.completion.usage)]
        if task.completion.time_to_first_token:
            parts.append(f"first token after {span(task.completion.time_to_first_token)}")
    elif task.usage:
        parts.append(_counted(task.usage))
    if task.started_at and task.ended_at:
        parts.append(span(task.ended_at - task.started_at))
    return " · ".join(parts)


def note(task: Task) -> str:
    """Why a task is where it is, when there is something to say."""
    if task.failure:
        return f"{task.failure.reason.value}: {task.failure.message}"
    return task.wait_reason if task.state.value in {"queued", "pending"} else ""


def _counted(usage: Usage) -> str:
    counted = f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
    return counted if usage.cost_usd is None else f"{counted}, ${usage.cost_usd:.4f}"


def _worker_row(worker: WorkerInfo, now: datetime | None) -> Sequence[str]:
    return (
        worker.id,
        worker.status.value,
        f"{worker.active_tasks}/{worker.concurrency}",
        ", ".join(worker.queues),
        ", ".join(worker.models) or "all",
        _gpu(worker),
        ago(worker.last_heartbeat, now),
        span(worker.uptime),
        coming(worker, now),
        "" if worker.status is WorkerStatus.HEALTHY else worker.status_reason,
    )


def coming(worker: WorkerInfo, now: datetime | None) -> str:
    """What follows if nothing is heard, and when; for a worker that drains, when what runs is handed back."""
    if worker.status is WorkerStatus.DRAINING and worker.drain_deadline_at:
        return f"hands back in {left(worker.drain_deadline_at, now)}"
    if worker.next_status_at is None or worker.status not in _IN_DOUBT:
        return ""
    return f"{_next(worker)} in {left(worker.next_status_at, now)}"


def _pending(worker: WorkerInfo) -> str:
    return f"{_next(worker)} at {clock(worker.next_status_at)}" if worker.next_status_at else ""


def _next(worker: WorkerInfo) -> str:
    return worker.next_status.value if worker.next_status else "deregistered"


def _gpu(worker: WorkerInfo) -> str:
    return (worker.gpu_model or "yes") if worker.gpu else "-"
