"""Plans and tokens in this process's memory: for tests, and for a Planner that may forget."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from devteam.mesh.errors import NotFound
from devteam.mesh.trace_context import trace_id_of
from devteam_planner.domain import (
    Attempt,
    Batch,
    CancelTrail,
    Failure,
    Plan,
    PlanState,
    Task,
    TaskState,
    Usage,
    WorkerInstance,
)
from devteam_planner.ports import Ending, Entry, Stretch


class MemoryPlanStore:
    """See ports.PlanStore."""

    def __init__(self) -> None:
        # Plans without their tasks, in the order in which they were added.
        self._plans: dict[str, Plan] = {}
        self._tasks: dict[str, Task] = {}
        self._steps: dict[str, tuple[str, ...]] = {}
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._requests: dict[tuple[str, str], str] = {}
        self._changed: dict[str, datetime] = {}

    async def add(self, plan: Plan) -> Plan:
        """See the port."""
        if known := await self.requested(plan.tenant, plan.request_id):
            return known
        if plan.request_id:
            self._requests[plan.tenant, plan.request_id] = plan.plan_id
        self._plans[plan.plan_id] = replace(plan, tasks=())
        self._steps[plan.plan_id] = tuple(task.task_id for task in plan.tasks)
        trace_id = trace_id_of(plan.trace_context)
        self._tasks.update((task.task_id, replace(task, plan_name=plan.name, trace_id=trace_id)) for task in plan.tasks)
        self._changed.update((task.task_id, task.created_at) for task in plan.tasks)
        return plan

    async def requested(self, tenant: str, request_id: str) -> Plan | None:
        """See the port."""
        known = self._requests.get((tenant, request_id))
        return await self.plan(known) if known else None

    async def open_tasks(self) -> Mapping[tuple[str, str], int]:
        """See the port."""
        return Counter((task.tenant, task.spec.queue) for task in self._tasks.values() if not task.state.ended)

    async def plan(self, plan_id: str) -> Plan:
        """See the port."""
        plan = self._found(plan_id)
        return replace(plan, tasks=tuple(_listed(self._tasks[task_id]) for task_id in self._steps[plan_id]))

    async def head(self, plan_id: str) -> Plan:
        """See the port."""
        return self._found(plan_id)

    async def versions(self, plan_id: str) -> tuple[int, Mapping[str, int]]:
        """See the port."""
        plan = self._found(plan_id)
        return plan.version, {task_id: self._tasks[task_id].version for task_id in self._steps[plan_id]}

    async def task(self, task_id: str) -> Task:
        """See the port."""
        if task_id not in self._tasks:
            raise NotFound("task", task_id)
        return self._tasks[task_id]

    async def outputs(self, plan_id: str, step_ids: Sequence[str]) -> Mapping[str, str]:
        """See the port."""
        tasks = (self._tasks[task_id] for task_id in self._steps.get(plan_id, ()))
        return {t.step_id: t.output for t in tasks if t.step_id in step_ids and t.state is TaskState.SUCCEEDED}

    async def plans(self, *, state: PlanState | None, before: str, limit: int, whose: str = "") -> list[Plan]:
        """See the port."""
        found = (plan for plan in self._plans.values() if not plan.sole and state in {None, plan.state})
        newest = sorted(found, key=lambda plan: plan.plan_id, reverse=True)
        older = (plan for plan in newest if not before or plan.plan_id < before)
        return [plan for plan in older if whose in ("", plan.tenant)][:limit]

    async def tasks(
        self, *, plan_id: str, state: TaskState | None, before: str, limit: int, whose: str = ""
    ) -> list[Task]:
        """See the port."""
        found = (task for task in self._listable(plan_id) if state in {None, task.state})
        newest = sorted(found, key=lambda task: task.task_id, reverse=True)
        older = (task for task in newest if not before or task.task_id < before)
        return [_listed(task) for task in older if whose in ("", task.tenant)][:limit]

    async def begin_attempt(
        self, task_id: str, *, after: int, reason: str, now: datetime, traceparent: str = ""
    ) -> Task | None:
        """See the port."""
        task = self._tasks.get(task_id)
        if task is None or task.attempt != after or task.attempt_open or task.state.ended:
            return None
        self._attempts[task_id, after + 1] = Attempt(task_id, after + 1, reason, now, traceparent)
        return self._write(
            task,
            now,
            attempt=after + 1,
            attempt_open=True,
            state=TaskState.QUEUED,
            worker=None,
            queue="",
            placement_reason="",
            wait_reason="",
            failure=None,
            spent=Usage(),
        )

    async def attempt(self, task_id: str, number: int) -> Attempt | None:
        """See the port."""
        return self._attempts.get((task_id, number))

    async def note_waiting(self, task_id: str, attempt: int, reason: str, now: datetime) -> bool:
        """See the port."""
        return self._fenced(
            task_id,
            attempt,
            now,
            state=TaskState.QUEUED,
            wait_reason=reason,
            worker=None,
            queue="",
            placement_reason="",
        )

    async def note_assigned(
        self, task_id: str, attempt: int, worker: WorkerInstance, queue: str, reason: str, now: datetime
    ) -> bool:
        """See the port."""
        task = self._tasks.get(task_id)
        return self._fenced(
            task_id,
            attempt,
            now,
            state=TaskState.RUNNING,
            wait_reason="",
            worker=worker,
            queue=queue,
            placement_reason=reason,
            started_at=(task and task.started_at) or now,
        )

    async def end_attempt(
        self, task_id: str, attempt: int, worker: WorkerInstance | None, ending: Ending, now: datetime
    ) -> bool:
        """See the port."""
        task = self._tasks.get(task_id)
        if not self.holds(task_id, attempt, worker):
            return False
        trail = task and task.cancel_trail
        if trail and ending.state is TaskState.SUCCEEDED:
            return False
        if trail and ending.stopped:
            trail = replace(trail, stopped_at=now, model_closed_after=ending.stopped.took)
        return self._fenced(
            task_id,
            attempt,
            now,
            state=ending.state,
            attempt_open=False,
            burnt=(task.burnt if task else 0) + ending.burns,
            wait_reason=ending.wait_reason,
            output=ending.output,
            output_bytes=len(ending.output.encode()),
            completion=ending.completion,
            failure=ending.failure,
            spent=ending.spent,
            ended_at=now if ending.state.ended else None,
            cancel_trail=trail,
        )

    async def end_task(self, task_id: str, state: TaskState, failure: Failure | None, now: datetime) -> bool:
        """See the port."""
        task = self._tasks.get(task_id)
        if task is None or task.attempt_open or task.state.ended:
            return False
        self._write(task, now, state=state, wait_reason="", failure=failure, ended_at=now)
        return True

    async def request_cancel(self, plan_id: str, now: datetime) -> Plan:
        """See the port."""
        plan = self._found(plan_id)
        if plan.cancel_requested_at is None and not plan.state.ended:
            self._plans[plan_id] = replace(plan, cancel_requested_at=now, version=plan.version + 1)
            for task in self._listable(plan_id):
                if not task.state.ended:
                    self._write(task, now, cancel_trail=CancelTrail(now))
        return await self.plan(plan_id)

    async def note_router_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """See the port."""
        trail = self._trail(task_id, attempt)
        if trail is None or trail.router_told_at:
            return False
        self._write(self._tasks[task_id], now, cancel_trail=replace(trail, router_told_at=now))
        return True

    async def note_worker_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """See the port."""
        trail = self._trail(task_id, attempt)
        if trail is None or trail.worker_told_at:
            return False
        told = replace(trail, worker_told_at=now, router_told_at=trail.router_told_at or now)
        self._write(self._tasks[task_id], now, cancel_trail=told)
        return True

    async def start_plan(self, plan_id: str) -> None:
        """See the port."""
        plan = self._plans.get(plan_id)
        if plan is not None and plan.state is PlanState.PENDING:
            self._plans[plan_id] = replace(plan, state=PlanState.RUNNING, version=plan.version + 1)

    async def unstarted(self, limit: int) -> list[Plan]:
        """See the port."""
        pending = [plan for plan in self._plans.values() if plan.state is PlanState.PENDING]
        return sorted(pending, key=lambda plan: (plan.created_at, plan.plan_id))[:limit]

    async def close_plan(self, plan_id: str, now: datetime) -> PlanState:
        """See the port."""
        plan = self._found(plan_id)
        if plan.state.ended:
            return plan.state
        left = TaskState.SKIPPED if plan.cancel_requested_at is None else TaskState.CANCELLED
        for task in self._listable(plan_id):
            if not task.state.ended:
                self._write(task, now, state=left, attempt_open=False, wait_reason="", ended_at=now)
        failed = any(task.state is not TaskState.SUCCEEDED for task in self._listable(plan_id))
        cancelled = failed and plan.cancel_requested_at is not None
        state = PlanState.CANCELLED if cancelled else PlanState.FAILED if failed else PlanState.SUCCEEDED
        self._plans[plan_id] = replace(plan, state=state, ended_at=now, version=plan.version + 1)
        return state

    def holds(self, task_id: str, attempt: int, worker: WorkerInstance | None) -> bool:
        """Whether that attempt is the task's newest, open, and with that worker."""
        task = self._tasks.get(task_id)
        return task is not None and task.attempt == attempt and task.attempt_open and task.worker == worker

    def is_over(self, task_id: str, attempt: int) -> bool:
        """Whether that attempt has ended, for whatever reason."""
        task = self._tasks.get(task_id)
        return task is not None and (task.attempt > attempt or not task.attempt_open)

    def everything(self) -> Mapping[str, Task]:
        """All tasks of all plans, by their ids."""
        return self._tasks

    def all_plans(self) -> Mapping[str, Plan]:
        """All plans, without their tasks, by their ids."""
        return self._plans

    def forget(self, plan_id: str) -> Sequence[str]:
        """Drop a plan, and return the ids of its tasks."""
        plan, task_ids = self._plans.pop(plan_id), self._steps.pop(plan_id)
        self._requests.pop((plan.tenant, plan.request_id), None)
        for task_id in task_ids:
            for number in range(1, self._tasks.pop(task_id).attempt + 1):
                self._attempts.pop((task_id, number), None)
            del self._changed[task_id]
        return task_ids

    def changed_at(self, task_id: str) -> datetime:
        """When that task was written last."""
        return self._changed[task_id]

    def _trail(self, task_id: str, attempt: int) -> CancelTrail | None:
        task = self._tasks.get(task_id)
        return task.cancel_trail if task and task.attempt == attempt else None

    def _found(self, plan_id: str) -> Plan:
        if plan_id not in self._plans:
            raise NotFound("plan", plan_id)
        return self._plans[plan_id]

    def _listable(self, plan_id: str) -> Iterable[Task]:
        """The tasks of a plan, or without one all tasks of their own."""
        if plan_id:
            return [self._tasks[task_id] for task_id in self._steps.get(plan_id, ())]
        return [task for task in self._tasks.values() if self._plans[task.plan_id].sole]

    def _fenced(self, task_id: str, attempt: int, now: datetime, **changes: Any) -> bool:
        task = self._tasks.get(task_id)
        if task is None or task.attempt != attempt or not task.attempt_open:
            return False
        self._write(task, now, **changes)
        return True

    def _write(self, task: Task, now: datetime, **changes: Any) -> Task:
        written = replace(task, **changes, version=task.version + 1)
        self._tasks[task.task_id] = written
        self._changed[task.task_id] = now
        return written


def _listed(task: Task) -> Task:
    return replace(task, output="")


class MemoryTokenStore:
    """See ports.TokenStore."""

    def __init__(self, plans: MemoryPlanStore) -> None:
        self._plans = plans
        self._batches: defaultdict[tuple[str, int], list[Batch]] = defaultdict(list)

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """See the port."""
        return [entry for entry in entries if not self._take(entry)]

    async def read(self, task_id: str, attempt: int, *, after: int, limit: int) -> list[Batch]:
        """See the port."""
        stored = self._batches.get((task_id, attempt), [])
        start = bisect_right(stored, after, key=lambda known: known.last_seq)
        return stored[start : start + limit]

    async def last_seq(self, task_id: str, attempt: int) -> int:
        """See the port."""
        stored = self._batches.get((task_id, attempt))
        return stored[-1].last_seq if stored else 0

    async def stretches(self, task_id: str, *, after: tuple[int, int], limit: int) -> list[Stretch]:
        """See the port."""
        over = sorted(number for of, number in self._batches if of == task_id and self._plans.is_over(task_id, number))
        found = (
            Stretch(number, batch.first_seq, batch.last_seq, len(batch.payload))
            for number in over
            for batch in self._batches[task_id, number]
        )
        return [stretch for stretch in found if (stretch.attempt, stretch.last_seq) > after][:limit]

    async def merge(self, task_id: str, stretch: Stretch, merged: Callable[[Sequence[Batch]], Batch | None]) -> bool:
        """See the port."""
        stored = self._batches.get((task_id, stretch.attempt), [])
        start, end = (
            bisect_right(stored, seq, key=lambda known: known.last_seq)
            for seq in (stretch.first_seq - 1, stretch.last_seq)
        )
        within = stored[start:end] if self._plans.is_over(task_id, stretch.attempt) else []
        one = merged(within) if within else None
        if one is not None:
            stored[start:end] = [one]
        return one is not None

    def forget(self, task_ids: Collection[str]) -> None:
        """Drop the tokens of these tasks."""
        gone = set(task_ids)
        for key in [key for key in self._batches if key[0] in gone]:
            del self._batches[key]

    def _take(self, entry: Entry) -> bool:
        batch, stored = entry.batch, self._batches[entry.task_id, entry.attempt]
        place = bisect_right(stored, batch.last_seq - 1, key=lambda known: known.last_seq)
        known = stored[place] if place < len(stored) else None
        if known and known.last_seq == batch.last_seq:
            return True
        if not self._plans.holds(entry.task_id, entry.attempt, entry.worker):
            return known is not None and known.first_seq <= batch.last_seq
        stored.insert(place, batch)
        return True
