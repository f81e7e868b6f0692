"""A cancel on its way to the model: each hop, once it is known, and how long after the request it came."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import datetime

from devteam.events import Event, PlanChanged, TaskChanged
from devteam.models import CancelTrail, Task
from devteam_cli.stderr import say


class CancelView:
    """Finds what is new about the trails of tasks. `steps`: there are several, each line names its own."""

    def __init__(self, *, steps: bool = False) -> None:
        self._steps = steps
        self._told: set[tuple[str, str]] = set()

    def news(self, task: Task) -> list[str]:
        """The hops that were not told yet, a line each; none for a task that never left the Planner."""
        trail = task.cancel_trail
        if trail is None or trail.requested_at is None or (self._steps and not task.attempt):
            return []
        lines = []
        for hop, moment in _hops(task, trail):
            if moment is not None and (task.id, hop) not in self._told:
                self._told.add((task.id, hop))
                after = round((moment - trail.requested_at).total_seconds() * 1000)
                lines.append(f"{f'{task.step_id}: ' if self._steps else ''}{hop:<24} +{after} ms{_closing(hop, trail)}")
        return lines

    async def follow(self, events: AsyncGenerator[Event, None]) -> None:
        """Say every hop that a watch tells of, until it ends."""
        async with aclosing(events):
            async for event in events:
                match event:
                    case TaskChanged(task):
                        self.say([task])
                    case PlanChanged(plan):
                        self.say(plan.tasks)

    def say(self, tasks: Iterable[Task]) -> None:
        """Say what is new about these."""
        for task in tasks:
            for line in self.news(task):
                say(line)


def left(kind: str, some_id: str, *, cancelled: bool) -> str:
    """What becomes of a task or plan (`kind`) whose run or watch was broken off."""
    if cancelled:
        return f"{some_id} is asked to stop, since its watcher leaves"
    return f"{some_id} goes on; `devteam {kind} watch {some_id}` follows it, `devteam {kind} cancel {some_id}` stops it"


def _hops(task: Task, trail: CancelTrail) -> list[tuple[str, datetime | None]]:
    return [
        ("requested", trail.requested_at),
        ("router told", trail.router_told_at),
        (f"worker {task.worker_id} told", trail.worker_told_at),
        ("model stopped", trail.stopped_at),
    ]


def _closing(hop: str, trail: CancelTrail) -> str:
    if hop != "model stopped" or trail.model_closed_after is None:
        return ""
    return f" (its connection closed {trail.model_closed_after.total_seconds() * 1000:.0f} ms after the worker heard)"
