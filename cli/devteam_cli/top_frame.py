"""One picture of `devteam top`, for a screen of any size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from devteam.models import QueueInfo, Task, WorkerInfo, WorkerStatus
from devteam_cli.columns import Column, lines
from devteam_cli.render import coming
from devteam_cli.text import ago, printable, span
from devteam_cli.top_view import TopView

if TYPE_CHECKING:
    from rich.text import Text

_WORKERS = (
    Column("WORKER"),
    Column("STATE"),
    Column("SLOTS", right=True),
    Column("QUEUES", 3),
    Column("RESIDENT", 2),
    Column("MEMORY FREE", 4, right=True),
    Column("LAST BEAT", 5, right=True),
    Column("NEXT", 1),
)
_QUEUES = (
    Column("QUEUE"),
    Column("STATE"),
    Column("WAITING", right=True),
    Column("RUNNING", right=True),
    Column("SLOTS", 1, right=True),
    Column("WORKERS", 3, right=True),
    Column("OLDEST WAITS SINCE", 2, right=True),
)
_RUNNING = (
    Column("TASK"),
    Column("PLAN", 4),
    Column("MODEL", 3),
    Column("WORKER", 1),
    Column("AGE", right=True),
    Column("FIRST TOKEN", 5, right=True),
    Column("TOKENS", right=True),
    Column("TOKENS/S", right=True),
)
_WAITING = (Column("TASK"), Column("MODEL", 3), Column("QUEUE", 2), Column("WAITS", right=True), Column("WHY"))
# On a small screen, what is left out first. A section takes a blank, its titles, a row and the count of the others.
_GIVES_WAY = ("queues", "waiting", "workers")
_SMALLEST = 4


@dataclass(frozen=True, slots=True)
class _Section:
    """A table: how many rows there are, and the first so many of them (None: all)."""

    name: str
    columns: Sequence[Column]
    count: int
    rows: Callable[[int | None], list[Sequence[str]]]


def frame(view: TopView, title: str, now: datetime, *, width: int, height: int | None = None) -> "list[Text]":
    """The picture, a line each, no more than fit; `height` None: as many as there are."""
    from rich.text import Text

    head = Text.assemble((_totals(view, now), "bold"), f" · {printable(title)}", no_wrap=True)
    picture = [head]
    picture += [Text(printable(trouble), "red", no_wrap=True) for trouble in view.trouble]
    sections = _fitting(_sections(view, now), None if height is None else height - len(picture))
    rooms = _rooms([section.count for section in sections], None if height is None else height - len(picture))
    for section, room in zip(sections, rooms, strict=True):
        picture += _drawn(section, room, width)
    if view.is_empty and not view.trouble:
        picture += [Text(""), Text("nobody is here and nothing waits; start a worker with `devteam-worker start`")]
    for line in picture:
        line.truncate(width, overflow="ellipsis")
    return picture[:height]


def _totals(view: TopView, now: datetime) -> str:
    slots = sum(worker.concurrency for worker in view.workers)
    parts = [
        f"{len(view.workers)} worker{'' if len(view.workers) == 1 else 's'}",
        f"{len(view.running)} running on {slots} slots",
        f"{view.waiting_count} waiting",
    ]
    if view.pending_count:
        parts.append(f"{view.pending_count} pending")
    return " · ".join([*parts, f"{view.rate(now):.0f} tokens/s"])


def _sections(view: TopView, now: datetime) -> list[_Section]:
    workers, queues, running = view.workers, view.queues, view.running
    return [
        _Section("workers", _WORKERS, len(workers), lambda most: [_worker(view, one, now) for one in workers[:most]]),
        _Section("queues", _QUEUES, len(queues), lambda most: [_queue(queue, now) for queue in queues[:most]]),
        _Section("running", _RUNNING, len(running), lambda most: [_running(view, one, now) for one in running[:most]]),
        _Section(
            "waiting", _WAITING, view.waiting_count, lambda most: [_waiting(*one, now) for one in view.waiting(most)]
        ),
    ]


def _fitting(sections: Sequence[_Section], height: int | None) -> list[_Section]:
    """Those that have anything in them, without some where not all of them could show a row."""
    fitting = [section for section in sections if section.count]
    for name in _GIVES_WAY:
        if height is None or sum(min(section.count + 2, _SMALLEST) for section in fitting) <= height:
            break
        fitting = [section for section in fitting if section.name != name]
    return fitting


def _rooms(counts: Sequence[int], height: int | None) -> list[int | None]:
    """Lines for each section, its titles and the blank before them included; what one does not need, others get."""
    if height is None:
        return [None] * len(counts)
    rooms: dict[int, int] = {}
    smallest_first = sorted(range(len(counts)), key=lambda place: counts[place])
    for done, place in enumerate(smallest_first):
        share = (height - sum(rooms.values())) // (len(counts) - done)
        rooms[place] = min(counts[place] + 2, share)
    return [rooms[place] for place in range(len(counts))]


def _drawn(section: _Section, room: int | None, width: int) -> "list[Text]":
    from rich.text import Text

    fits = None if room is None else room - 2
    if fits is not None and fits < section.count:
        fits -= 1  # for the line that says so
        if fits < 1:
            return []
    drawn = [Text(""), *lines(section.columns, section.rows(fits), width)]
    if fits is not None and fits < section.count:
        drawn.append(Text(f"and {section.count - fits} more {section.name}", "dim"))
    return drawn


def _worker(view: TopView, worker: WorkerInfo, now: datetime) -> Sequence[str]:
    vitals = worker.vitals
    memory = f"{vitals.memory_available / 1e9:.1f} of {vitals.memory_total / 1e9:.1f} GB" if vitals else ""
    reason = "" if worker.status is WorkerStatus.HEALTHY else worker.status_reason
    return (
        worker.id,
        worker.status.value,
        f"{view.running_on(worker.id)}/{worker.concurrency}",
        ", ".join(worker.queues),
        ", ".join(worker.resident_models),
        memory,
        ago(worker.last_heartbeat, now),
        " · ".join(filter(None, (coming(worker, now), reason))),
    )


def _queue(queue: QueueInfo, now: datetime) -> Sequence[str]:
    return (
        queue.name,
        "paused" if queue.paused else "open",
        str(queue.waiting),
        str(queue.running),
        str(queue.slots),
        str(queue.workers),
        ago(queue.oldest_waiting_since, now),
    )


def _running(view: TopView, task: Task, now: datetime) -> Sequence[str]:
    pace = view.pace(task)
    rate = pace.rate(now) if pace else None
    first = pace.first_token_at - task.started_at if pace and pace.first_token_at and task.started_at else None
    return (
        task.id,
        task.plan_name,
        task.model,
        task.worker_id,
        span(now - task.started_at) if task.started_at else "-",
        span(first) if first is not None else "-",
        str(pace.tokens) if pace else "-",
        "-" if rate is None else f"{rate:.1f}",
    )


def _waiting(task: Task, since: datetime, now: datetime) -> Sequence[str]:
    return (task.id, task.model, task.queue or task.spec.queue or "-", span(now - since), task.wait_reason or "-")
