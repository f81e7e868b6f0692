"""Tells watchers what becomes of plans and tasks, read from the store at each watcher's own pace."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from devteam.mesh.clock import Clock
from devteam.mesh.errors import OutOfRange
from devteam_planner.bell import CHANGED, Bell, Listener
from devteam_planner.domain import Batch, Task, TaskState
from devteam_planner.events import (
    AttemptStarted,
    Cursor,
    Gap,
    PlanEvent,
    PlanSnapshot,
    TaskChanged,
    TaskEvent,
    TokensRead,
)
from devteam_planner.ownership import find
from devteam_planner.ports import PlanStore
from devteam_planner.token_log import TokenLog

# How many batches are read at once, first and at most; also how much of one task a watcher of a plan is told before
# the next has its turn.
_FEW_BATCHES, _BATCHES = 4, 32
# Bytes of them that a watcher holds: one that stopped reading holds them for as long as it likes.
_HELD_BYTES = 64 * 1024
# How many changed tasks are read one by one; beyond them, to read the whole plan is faster.
_MANY = 32


class Watch:
    """Opens watches.

    However silent the bell, each looks at the store every `poll` seconds: another process may have written to it. For
    those who look for what is `whose`, nothing else exists.
    """

    def __init__(self, store: PlanStore, log: TokenLog, bell: Bell, clock: Clock, *, poll: float = 0.5) -> None:
        self._store = store
        self._log = log
        self._bell = bell
        self._clock = clock
        self._poll = poll

    async def watch_task(self, task_id: str, cursor: Cursor, *, whose: str = "") -> AsyncGenerator[TaskEvent, None]:
        """The task as it is, then changes and tokens as they are stored; the last event is the task at its end.

        Raises NotFound, OutOfRange for a cursor past the end of what there is, Unavailable.
        """
        known = await self._store.task(task_id)
        find(known.tenant, whose, "task", task_id)
        plan_id = known.plan_id
        with self._bell.listening(plan_id) as listener:
            lookout = await self._lookout(plan_id, listener)
            task = await self._task(task_id)
            told = task.version if not task.state.ended else -1  # an end is told again, after the tokens
            telling = await self._telling(task, cursor, told)
            yield TaskChanged(task)
            due = True
            while not telling.finished:
                events = await telling.more() if due else []
                for event in events:
                    yield event
                look = await lookout.next(wait=not events and not telling.finished)
                if task_id in look.changed:
                    telling.task = await self._task(task_id)
                due = bool(events) or telling.is_due(look)

    async def watch_plan(
        self, plan_id: str, cursors: Mapping[str, Cursor], *, whose: str = ""
    ) -> AsyncGenerator[PlanEvent, None]:
        """The plan as it is, then changes and tokens of all its tasks; the last event is the plan at its end.

        `cursors` by task id; tasks that are not named are told from the start of their current attempt. Raises as
        watch_task.
        """
        with self._bell.listening(plan_id) as listener:
            lookout = await self._lookout(plan_id, listener)
            plan = await self._store.plan(plan_id)
            find(plan.tenant, whose, "plan", plan_id)
            tellings = {
                task.task_id: await self._telling(task, cursors.get(task.task_id, Cursor()), task.version)
                for task in plan.tasks
            }
            yield PlanSnapshot(plan)
            due = list(tellings.values())
            while due or not plan.state.ended:
                # In turns, and after each a look at what changed: a stream of tokens hides nothing else.
                busy = set()
                for telling in due:
                    for event in await telling.more():
                        busy.add(telling)
                        yield event
                look = await lookout.next(wait=not busy and not plan.state.ended)
                if look.plan_changed or len(look.changed) > _MANY:
                    plan = await self._store.plan(plan_id)
                    tasks = plan.tasks
                else:
                    tasks = tuple([await self._task(task_id) for task_id in look.changed])
                for task in tasks:
                    tellings[task.task_id].task = task
                if look.plan_changed and not plan.state.ended:
                    yield PlanSnapshot(plan)
                due = [telling for telling in tellings.values() if telling in busy or telling.is_due(look)]
            yield PlanSnapshot(plan)

    async def _lookout(self, plan_id: str, listener: Listener) -> "_Lookout":
        known = await self._store.versions(plan_id)
        return _Lookout(self._store, plan_id, listener, self._clock, self._poll, known)

    async def _task(self, task_id: str) -> Task:
        return replace(await self._store.task(task_id), output="")  # nobody is told it: it need not be kept

    async def _telling(self, task: Task, cursor: Cursor, told: int) -> "_Telling":
        if cursor.after_seq == 0 or cursor.attempt < task.attempt:
            return _Telling(self._store, self._log, task, Cursor(), told)
        last = await self._log.settle(task.task_id, task.attempt) if cursor.attempt == task.attempt else 0
        if cursor.after_seq > last:
            raise OutOfRange(
                f"attempt {cursor.attempt} of {task.task_id} has no token {cursor.after_seq}; its last is {last}",
                reason="SEQ_OUT_OF_RANGE",
                metadata={"task_id": task.task_id, "attempt": str(task.attempt), "latest": str(last)},
            )
        return _Telling(self._store, self._log, task, cursor, told)


@dataclass(frozen=True, slots=True)
class _Look:
    """Why to look again: the plan or tasks were `changed`, tasks have new `tokens`, or it is time for a `full` look."""

    plan_changed: bool
    changed: list[str]
    tokens: set[str]
    full: bool


class _Lookout:
    """Waits until there is a reason to look at a plan."""

    def __init__(
        self,
        store: PlanStore,
        plan_id: str,
        listener: Listener,
        clock: Clock,
        poll: float,
        known: tuple[int, Mapping[str, int]],
    ) -> None:
        self._store = store
        self._plan_id = plan_id
        self._listener = listener
        self._clock = clock
        self._poll = poll
        self._known = known
        self._full_at = clock.monotonic() + poll

    async def next(self, *, wait: bool) -> _Look:
        """The next reason, or whatever there is now. A full look comes every `poll` seconds, however often it rings."""
        rung = await self._listener.heard(self._full_at - self._clock.monotonic() if wait else 0)
        full = self._clock.monotonic() >= self._full_at
        if full:
            self._full_at = self._clock.monotonic() + self._poll
        if not full and CHANGED not in rung:
            return _Look(plan_changed=False, changed=[], tokens=rung, full=False)
        (plan_before, before), self._known = self._known, await self._store.versions(self._plan_id)
        plan_now, now = self._known
        changed = [task_id for task_id, version in now.items() if version != before[task_id]]
        return _Look(plan_now != plan_before, changed, rung, full)


class _Telling:
    """What one watcher has been told of one task, and what comes next."""

    def __init__(self, store: PlanStore, log: TokenLog, task: Task, cursor: Cursor, told: int) -> None:
        self.task = task
        self._store = store
        self._log = log
        self._told = told
        self._attempt = cursor.attempt
        self._after = cursor.after_seq
        self._reach = _FEW_BATCHES

    @property
    def finished(self) -> bool:
        """Whether the task's end has been told."""
        return self.task.state.ended and self._told == self.task.version

    def is_due(self, look: _Look) -> bool:
        """Whether there may be something to tell."""
        task = self.task
        elsewhere = task.state is TaskState.RUNNING and not self._log.follows(task.task_id, task.attempt)
        return task.version != self._told or task.task_id in look.tokens or (look.full and elsewhere)

    async def more(self) -> list[TaskEvent]:
        """The next events; none when all is told. An end comes after all tokens."""
        if self.task.version != self._told and not self.task.state.ended:
            return [self._state()]
        if self.task.attempt != self._attempt:
            return [await self._begin()]
        if self._attempt and (tokens := await self._tokens()):
            return tokens
        return [self._state()] if self.task.version != self._told else []

    def _state(self) -> TaskChanged:
        self._told = self.task.version
        return TaskChanged(self.task)

    async def _begin(self) -> AttemptStarted:
        self._attempt, self._after = self.task.attempt, 0
        attempt = await self._store.attempt(self.task.task_id, self._attempt)
        return AttemptStarted(self.task.task_id, self._attempt, attempt.reason if attempt else "")

    async def _tokens(self) -> list[TaskEvent]:
        task_id, events = self.task.task_id, list[TaskEvent]()
        batches = _few_of(await self._log.read(task_id, self._attempt, self._after, self._reach))
        self._reach = min(2 * max(len(batches), 1), _BATCHES)
        for batch in batches:
            if batch.first_seq > self._after + 1:
                events.append(Gap(task_id, self._attempt, self._after + 1, batch.first_seq - 1))
            events.append(TokensRead(task_id, self._attempt, batch, self._after))
            self._after = batch.last_seq
        return events


def _few_of(batches: Sequence[Batch]) -> list[Batch]:
    """The first of them, as many as may be held; at least one."""
    few, size = list[Batch](), 0
    for batch in batches:
        size += len(batch.payload)
        if few and size > _HELD_BYTES:
            break
        few.append(batch)
    return few
