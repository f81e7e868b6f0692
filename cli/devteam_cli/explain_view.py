"""Why a task waits, or why it runs where it runs, for people."""

from datetime import datetime
from typing import TYPE_CHECKING

from devteam.models import Candidate, Explanation, Task, TaskState, WaitReason
from devteam_cli.render import details, table
from devteam_cli.text import clock, left, printable, span

if TYPE_CHECKING:
    from rich.table import Table


def headline(explanation: Explanation, task: Task | None = None, *, submitted: bool) -> str:
    """How it stands, in one line; what is not `submitted` only would stand so. `task` says whether it has ended."""
    best = _best(explanation)
    queue = explanation.queue or (best.queue if best else "")
    reason = explanation.reason or (best.merits if best else "")
    where = f" (queue {queue})" if queue else ""
    why = f": {reason}" if reason else ""
    ended = task is not None and task.state.ended
    standing = _end(explanation, task) if task and ended else _standing(explanation, submitted=submitted)
    return printable(f"{standing}{where}{why}")


def known_of(task: Task) -> Explanation:
    """What a task itself tells of where it is, and why."""
    if task.worker_id and task.state not in {TaskState.PENDING, TaskState.QUEUED}:
        return Explanation(reason=task.placement_reason, queue=task.queue, worker_id=task.worker_id)
    if task.state.ended:
        return Explanation(reason="", queue=task.queue)
    return Explanation(reason=_wait(task), queue=task.queue or task.spec.queue, wait_reason=WaitReason.UNKNOWN)


def _wait(task: Task) -> str:
    if task.state is not TaskState.PENDING:
        return task.wait_reason or "no Router holds it now; ask again in a few seconds"
    if task.depends_on:
        return f"it begins when {', '.join(task.depends_on)} {'has' if len(task.depends_on) == 1 else 'have'} succeeded"
    return "its plan has not begun; Temporal begins it: see `devteam doctor` if that takes long"


def facts(explanation: Explanation, now: datetime | None = None) -> "Table":
    """What else is known: when the wait ends, or how the worker was picked."""
    until = explanation.until
    return details(
        (
            ("reason", _kind_of_wait(explanation.wait_reason)),
            ("until", f"{clock(until)} (in {left(until, now)})" if until else ""),
            ("strategy", explanation.strategy or ""),
            ("could have run it", f"{explanation.eligible} with a free slot" if explanation.eligible else ""),
            ("equally good", f"{explanation.tied}, one of them drawn by lot" if explanation.tied > 1 else ""),
            ("waited", span(explanation.waited) if explanation.waited is not None else ""),
        )
    )


def candidates_table(explanation: Explanation) -> "Table":
    """Workers as they were weighed, each for all that are like it."""
    titles = ("WORKER", "QUEUE", "ACTIVE/CAP", "SCORE", "MERITS", "VERDICT")
    return table(titles, map(_candidate_row, explanation.candidates))


def _standing(explanation: Explanation, *, submitted: bool) -> str:
    if explanation.worker_id:
        return f"{'runs' if submitted else 'would run'} on {explanation.worker_id}"
    if explanation.wait_reason is not None:
        return "waits" if submitted else "would wait"
    best = _best(explanation)
    return f"could start now on {best.worker_id}" if best else "could start now"


def _end(explanation: Explanation, task: Task) -> str:
    if explanation.worker_id:
        return f"{task.state.value}, ran on {explanation.worker_id}"
    return f"{task.state.value}, and no worker ran it"


def _best(explanation: Explanation) -> Candidate | None:
    """Where it would go, when nothing was said of where it is: the best come first."""
    undecided = not explanation.worker_id and explanation.wait_reason is None
    return next((one for one in explanation.candidates if undecided and not one.rejected_because), None)


def _kind_of_wait(reason: WaitReason | None) -> str:
    return "" if reason in {None, WaitReason.UNKNOWN} else str(reason).replace("_", " ")


def _candidate_row(candidate: Candidate) -> tuple[str, ...]:
    like_it = f" and {candidate.alike - 1} like it" if candidate.alike > 1 else ""
    return (
        f"{candidate.worker_id}{like_it}",
        candidate.queue,
        f"{candidate.active}/{candidate.capacity}",
        "-" if candidate.rejected_because else f"{candidate.score:g}",
        candidate.merits,
        candidate.rejected_because or "could take it",
    )
