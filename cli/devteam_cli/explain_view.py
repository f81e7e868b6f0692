"""Why a task waits, or why it runs where it runs, for people."""

from datetime import datetime
from typing import TYPE_CHECKING

from devteam.models import Candidate, Explanation, WaitReason
from devteam_cli.render import details, table
from devteam_cli.text import clock, left, printable, span

if TYPE_CHECKING:
    from rich.table import Table


def headline(explanation: Explanation, *, submitted: bool) -> str:
    """How it stands, in one line; what is not `submitted` only would stand so."""
    best = _best(explanation)
    queue = explanation.queue or (best.queue if best else "")
    reason = explanation.reason or (best.merits if best else "")
    where = f" (queue {queue})" if queue else ""
    why = f": {reason}" if reason else ""
    return printable(f"{_standing(explanation, submitted=submitted)}{where}{why}")


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
