"""Plans, tasks and attempts in a SQL database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from devteam.mesh.database import Connection, Database
from devteam.mesh.errors import NotFound
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Attempt, Failure, Plan, PlanState, Task, TaskState, WorkerInstance
from devteam_planner.ports import Ending
from devteam_planner.store import listings, statements
from devteam_planner.store.rows import Row, plan_of_row, request_key, row_of_plan, row_of_task, row_value, task_of_row
from devteam_planner.store.sealing import Sealing
from devteam_planner.store.statements import TASK_ENDS, update
from devteam_planner.store.tables import plans, tasks

_PLAN_ENDS = [state.value for state in PlanState if state.ended]
# The attempt has no worker.
_UNPLACED = {"worker_id": None, "instance_id": None, "queue": "", "placement_reason": ""}
_BEGUN = {
    "attempt_open": True,
    "state": TaskState.QUEUED.value,
    "wait_reason": "",
    "failure": None,
    "spent": None,
    **_UNPLACED,
}


class SqlPlanStore:
    """See ports.PlanStore."""

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._sealing = Sealing(cipher or Cipher())

    async def add(self, plan: Plan) -> Plan:
        """See the port."""
        if self._database.full:
            # A small plan might find a place in some page still: what room is left belongs to what runs.
            await self._database.probe()
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.insert(plans), row_of_plan(self._sealing.plan(plan)))
                await connection.execute(
                    sa.insert(tasks), [row_of_task(self._sealing.task(task), sole=plan.sole) for task in plan.tasks]
                )
        except IntegrityError:
            # The same request was here before, or at the same time: the unique index decided.
            known = await self.requested(plan.tenant, plan.request_id)
            if known is None:
                raise
            return known
        return plan

    async def requested(self, tenant: str, request_id: str) -> Plan | None:
        """See the port."""
        found = await self._plan_where(plans.c.request_id == request_key(tenant, request_id))
        return found and self._sealing.opened_plan(found)

    async def open_tasks(self) -> Mapping[tuple[str, str], int]:
        """See the port."""
        async with self._database.read() as connection:
            rows = await connection.execute(statements.OPEN_TASKS)
            return {(row.tenant, row.wanted_queue): row.number for row in rows}

    async def plan(self, plan_id: str) -> Plan:
        """See the port."""
        plan = await self._plan_where(plans.c.plan_id == plan_id)
        if plan is None:
            raise NotFound("plan", plan_id)
        return self._sealing.opened_plan(plan, one_of_many=True)

    async def head(self, plan_id: str) -> Plan:
        """See the port."""
        async with self._database.read() as connection:
            row = (await connection.execute(statements.HEAD, {"of_plan": plan_id})).one_or_none()
        if row is None:
            raise NotFound("plan", plan_id)
        return self._sealing.opened_plan(plan_of_row(row))

    async def versions(self, plan_id: str) -> tuple[int, Mapping[str, int]]:
        """See the port."""
        async with self._database.read() as connection:
            rows = (await connection.execute(statements.VERSIONS, {"of_plan": plan_id})).all()
        if not rows:
            raise NotFound("plan", plan_id)
        return rows[0].plan_version, {row.task_id: row.version for row in rows}

    async def task(self, task_id: str) -> Task:
        """See the port."""
        async with self._database.read() as connection:
            row = (await connection.execute(statements.TASK, {"of_task": task_id})).one_or_none()
        if row is None:
            raise NotFound("task", task_id)
        return self._sealing.opened_task(task_of_row(row))

    async def outputs(self, plan_id: str, step_ids: Sequence[str]) -> Mapping[str, str]:
        """See the port."""
        query = sa.select(tasks.c.task_id, tasks.c.step_id, tasks.c.output).where(
            tasks.c.plan_id == plan_id,
            tasks.c.step_id.in_(step_ids),
            tasks.c.state == TaskState.SUCCEEDED.value,
        )
        async with self._database.read() as connection:
            rows = await connection.execute(query)
        return {row.step_id: self._sealing.opened_output(row.task_id, row.output) for row in rows}

    async def plans(self, *, state: PlanState | None, before: str, limit: int, whose: str = "") -> list[Plan]:
        """See the port."""
        query = listings.plans_of(state=state, before=before, limit=limit, whose=whose)
        async with self._database.read() as connection:
            return self._opened_plans(await connection.execute(query))

    async def tasks(
        self, *, plan_id: str, state: TaskState | None, before: str, limit: int, whose: str = ""
    ) -> list[Task]:
        """See the port."""
        query = listings.tasks_of(plan_id=plan_id, state=state, before=before, limit=limit, whose=whose)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
        return [self._sealing.opened_task(task_of_row(row), one_of_many=True) for row in rows]

    async def begin_attempt(
        self, task_id: str, *, after: int, reason: str, now: datetime, traceparent: str = ""
    ) -> Task | None:
        """See the port."""
        begin = {"of_task": task_id, "of_attempt": after, "changed_at": now, **_BEGUN}
        number = {
            "task_id": task_id,
            "number": after + 1,
            "reason": self._sealing.attempt_reason(task_id, after + 1, reason),
            "begun_at": now,
            "traceparent": traceparent,
        }
        async with self._database.write() as connection:
            row = (await connection.execute(statements.BEGIN_ATTEMPT, begin)).one_or_none()
            if row is None:
                return None
            await connection.execute(statements.ADD_ATTEMPT, number)
        return self._sealing.opened_task(task_of_row(row))

    async def attempt(self, task_id: str, number: int) -> Attempt | None:
        """See the port."""
        async with self._database.read() as connection:
            found = await connection.execute(statements.ATTEMPT, {"of_task": task_id, "of_attempt": number})
            row = found.one_or_none()
        if row is None:
            return None
        return self._sealing.opened_attempt(Attempt(task_id, number, row.reason, row.begun_at, row.traceparent))

    async def note_waiting(self, task_id: str, attempt: int, reason: str, now: datetime) -> bool:
        """See the port."""
        kept = self._sealing.wait_reason(task_id, reason)
        waiting = {"state": TaskState.QUEUED.value, "wait_reason": kept, **_UNPLACED}
        return await self._fenced(statements.NOTE_WAITING, task_id, attempt, now, waiting)

    async def note_assigned(
        self, task_id: str, attempt: int, worker: WorkerInstance, queue: str, reason: str, now: datetime
    ) -> bool:
        """See the port."""
        assigned = {
            "state": TaskState.RUNNING.value,
            "wait_reason": "",
            "worker_id": worker.worker_id,
            "instance_id": worker.instance_id,
            "queue": queue,
            "placement_reason": reason,
            "now": now,
        }
        return await self._fenced(statements.NOTE_ASSIGNED, task_id, attempt, now, assigned)

    async def end_attempt(
        self, task_id: str, attempt: int, worker: WorkerInstance | None, ending: Ending, now: datetime
    ) -> bool:
        """See the port."""
        kept = self._sealing.ending(task_id, ending)
        ended = {
            "of_worker": worker and worker.worker_id,
            "of_instance": worker and worker.instance_id,
            "state": ending.state.value,
            "attempt_open": False,
            "burns": int(ending.burns),
            "wait_reason": kept.wait_reason,
            "output": kept.output,
            "output_bytes": len(ending.output.encode()),
            "completion": row_value(ending.completion),
            "failure": row_value(kept.failure),
            "spent": row_value(ending.spent),
            "ended_at": now if ending.state.ended else None,
            "cancel_stopped_at": now if ending.stopped else None,
            "cancel_model_closed_after": ending.stopped and ending.stopped.took,
        }
        succeeded = ending.state is TaskState.SUCCEEDED
        write = statements.SUCCEED_ATTEMPT if succeeded else statements.END_ATTEMPT
        return await self._fenced(write, task_id, attempt, now, ended)

    async def end_task(self, task_id: str, state: TaskState, failure: Failure | None, now: datetime) -> bool:
        """See the port."""
        kept = row_value(self._sealing.failure(task_id, failure))
        end = (
            update(tasks)
            .where(tasks.c.task_id == task_id, tasks.c.attempt_open.is_(False), tasks.c.state.not_in(TASK_ENDS))
            .values(state=state.value, wait_reason="", failure=kept, ended_at=now, changed_at=now)
        )
        async with self._database.write() as connection:
            return (await connection.execute(end)).rowcount == 1

    async def request_cancel(self, plan_id: str, now: datetime) -> Plan:
        """See the port."""
        request = (
            update(plans)
            .where(
                plans.c.plan_id == plan_id,
                plans.c.cancel_requested_at.is_(None),
                plans.c.state.not_in(_PLAN_ENDS),
            )
            .values(cancel_requested_at=now)
        )
        trails = (
            update(tasks)
            .where(tasks.c.plan_id == plan_id, tasks.c.state.not_in(TASK_ENDS))
            .values(cancel_requested_at=now, changed_at=now)
        )
        async with self._database.write() as connection:
            if (await connection.execute(request)).rowcount:
                await connection.execute(trails)
        return await self.plan(plan_id)

    async def note_router_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """See the port."""
        return await self._fenced(statements.NOTE_ROUTER_TOLD, task_id, attempt, now, {"now": now})

    async def note_worker_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """See the port."""
        return await self._fenced(statements.NOTE_WORKER_TOLD, task_id, attempt, now, {"now": now})

    async def start_plan(self, plan_id: str) -> None:
        """See the port."""
        start = (
            update(plans)
            .where(plans.c.plan_id == plan_id, plans.c.state == PlanState.PENDING.value)
            .values(state=PlanState.RUNNING.value)
        )
        async with self._database.write() as connection:
            await connection.execute(start)

    async def unstarted(self, limit: int) -> list[Plan]:
        """See the port."""
        # The state as a literal: with a parameter, the planner could not use the partial index.
        pending = plans.c.state == sa.literal_column("'pending'")
        query = sa.select(plans).where(pending).order_by(plans.c.created_at, plans.c.plan_id).limit(limit)
        async with self._database.read() as connection:
            return self._opened_plans(await connection.execute(query))

    async def close_plan(self, plan_id: str, now: datetime) -> PlanState:
        """See the port."""
        async with self._database.write() as connection:
            query = sa.select(plans).where(plans.c.plan_id == plan_id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFound("plan", plan_id)
            if row.state in _PLAN_ENDS:
                return PlanState(row.state)
            cancelled = row.cancel_requested_at is not None
            await _end_the_rest(connection, plan_id, TaskState.CANCELLED if cancelled else TaskState.SKIPPED, now)
            state = await _end_of_plan(connection, plan_id, cancelled=cancelled)
            end = update(plans).where(plans.c.plan_id == plan_id).values(state=state.value, ended_at=now)
            await connection.execute(end)
        return state

    def _opened_plans(self, rows: Iterable[sa.Row[Any]]) -> list[Plan]:
        return [self._sealing.opened_plan(plan_of_row(row), one_of_many=True) for row in rows]

    async def _plan_where(self, condition: sa.ColumnElement[bool]) -> Plan | None:
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(plans).where(condition))).one_or_none()
            if row is None:
                return None
            of_plan = listings.WITHOUT_OUTPUT.where(tasks.c.plan_id == row.plan_id).order_by(tasks.c.position)
            found = (await connection.execute(of_plan)).all()
        return plan_of_row(row, map(task_of_row, found))

    async def _fenced(self, write: sa.Update, task_id: str, attempt: int, now: datetime, values: Row) -> bool:
        given = {"of_task": task_id, "of_attempt": attempt, "changed_at": now, **values}
        async with self._database.write() as connection:
            return (await connection.execute(write, given)).rowcount == 1


async def _end_the_rest(connection: Connection, plan_id: str, state: TaskState, now: datetime) -> None:
    await connection.execute(
        update(tasks)
        .where(tasks.c.plan_id == plan_id, tasks.c.state.not_in(TASK_ENDS))
        .values(state=state.value, attempt_open=False, wait_reason="", ended_at=now, changed_at=now)
    )


async def _end_of_plan(connection: Connection, plan_id: str, *, cancelled: bool) -> PlanState:
    unsuccessful = sa.select(sa.func.count()).where(
        tasks.c.plan_id == plan_id, tasks.c.state != TaskState.SUCCEEDED.value
    )
    if not await connection.scalar(unsuccessful):
        return PlanState.SUCCEEDED
    return PlanState.CANCELLED if cancelled else PlanState.FAILED
