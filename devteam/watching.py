"""A watch that outlives its connection: it knows how far it has come, and goes on from there."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from devteam.events import AttemptStarted, Event, Gap, PlanChanged, TaskChanged, Tokens
from devteam.mesh.clock import Clock
from devteam.models import Plan, Task
from devteam.reconnecting import reconnected


@dataclass(frozen=True, slots=True)
class Position:
    """The last token that was seen of a task: its attempt, and its place in it (0: none yet)."""

    attempt: int
    seq: int


class Progress:
    """How far a watch of one task or plan has come, and which of the events it is told are news.

    After a reconnection the mesh tells the present state again, and may tell tokens again: neither is news. The `end`
    of what is watched is kept back: a mesh asked about something that has ended begins with it, but it belongs last.
    """

    def __init__(self, watched_id: str, positions: Mapping[str, Position] | None = None) -> None:
        self.watched_id = watched_id
        self.positions = dict(positions or {})
        self.steps: dict[str, str] = {}
        self.end: TaskChanged | PlanChanged | None = None
        self._tasks: dict[str, Task] = {}
        self._plan: Plan | None = None

    def news(self, event: Event) -> Event | None:
        """What of `event` was not known yet, or None."""
        match event:
            case PlanChanged():
                return self._plan_news(event)
            case TaskChanged():
                return self._task_news(event)
            case AttemptStarted():
                return self._attempt_news(event)
            case Tokens():
                return self._tokens_news(event)
            case Gap():
                return self._gap_news(event)
        return event

    def _plan_news(self, event: PlanChanged) -> Event | None:
        plan = event.plan
        known = self._plan is not None and replace(plan, tasks=()) == replace(self._plan, tasks=())
        known = known and all(self._tasks.get(task.id) == task for task in plan.tasks)
        self._plan = plan
        self._tasks.update({task.id: task for task in plan.tasks})
        self.steps.update({task.id: task.step_id for task in plan.tasks})
        if plan.state.ended:
            self.end = event
            return None
        return None if known else event

    def _task_news(self, event: TaskChanged) -> Event | None:
        task = event.task
        known = self._tasks.get(task.id) == task
        self._tasks[task.id] = task
        self.steps[task.id] = task.step_id
        if task.id == self.watched_id and task.state.ended:
            self.end = event
            return None
        return None if known else event

    def _attempt_news(self, event: AttemptStarted) -> Event | None:
        position = self.positions.get(event.task_id)
        if position and position.attempt >= event.attempt:
            return None
        self.positions[event.task_id] = Position(event.attempt, 0)
        return event

    def _tokens_news(self, event: Tokens) -> Event | None:
        seen = self._seen(event)
        if seen is None or event.last_seq <= seen:
            return None
        self.positions[event.task_id] = Position(event.attempt, event.last_seq)
        old = max(seen - event.first_seq + 1, 0)
        return replace(event, first_seq=event.first_seq + old, tokens=event.tokens[old:])

    def _gap_news(self, event: Gap) -> Event | None:
        seen = self._seen(event)
        if seen is None or event.last_seq <= seen:
            return None
        self.positions[event.task_id] = Position(event.attempt, event.last_seq)
        return replace(event, first_seq=max(event.first_seq, seen + 1))

    def _seen(self, event: Tokens | Gap) -> int | None:
        """The last place seen of the event's attempt; None when that attempt is void."""
        position = self.positions.get(event.task_id)
        if position is None or event.attempt > position.attempt:
            return 0
        return position.seq if event.attempt == position.attempt else None


async def follow(
    connect: Callable[[Progress], AsyncGenerator[Event, None]], progress: Progress, clock: Clock, patience: float
) -> AsyncGenerator[Event, None]:
    """Every event that is news, over as many connections as it takes; the last one tells the end of what is watched.

    Raises what `reconnected` raises; each connection goes on after `progress`.
    """
    connections = reconnected(lambda: connect(progress), clock, patience, is_over=lambda: progress.end is not None)
    async with aclosing(connections) as events:
        async for event in events:
            if (news := progress.news(event)) is not None:
                yield news
    if progress.end is not None:
        yield progress.end
