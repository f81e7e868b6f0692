"""Queues, and the models that providers keep waiting, for people."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from devteam.models import QueueInfo, Throttle
from devteam_cli.render import table
from devteam_cli.text import ago, clock, left

if TYPE_CHECKING:
    from rich.table import Table


def queues_table(queues: Iterable[QueueInfo], now: datetime | None = None) -> "Table":
    """Queues: what waits, what runs, what could, and how."""
    titles = ("QUEUE", "STATE", "WAITING", "RUNNING", "SLOTS", "WORKERS", "OLDEST", "STRATEGY")
    rows = (
        (
            queue.name,
            "paused" if queue.paused else "open",
            str(queue.waiting),
            str(queue.running),
            str(queue.slots),
            str(queue.workers),
            ago(queue.oldest_waiting_since, now),
            queue.strategy or "-",
        )
        for queue in queues
    )
    return table(titles, rows, "STATE")


def throttle_line(throttle: Throttle, now: datetime | None = None) -> str:
    """A model that is kept waiting: for how long, until when, why, and how much waits for that."""
    time = f"for {left(throttle.until, now)}, until {clock(throttle.until)}"
    reason = f": {throttle.reason}" if throttle.reason else ""
    return f"{throttle.model} paused {time}{reason}; {throttle.waiting} waiting"
