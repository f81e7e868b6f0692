"""Domain values as rows, and rows as domain values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa

from devteam.mesh.trace_context import trace_id_of
from devteam_planner.domain import (
    DEFAULT_TENANT,
    CancelTrail,
    Completion,
    Failure,
    FailureReason,
    Generation,
    OnWorkerLoss,
    Placement,
    Plan,
    PlanState,
    Requirements,
    RunPolicy,
    Task,
    TaskSpec,
    TaskState,
    Usage,
    WorkerInstance,
)
from devteam_planner.ports import Entry

Row = dict[str, Any]


def row_of_plan(plan: Plan) -> Row:
    """A plan as a row of `plans`."""
    return {
        "plan_id": plan.plan_id,
        "name": plan.name,
        "sole": plan.sole,
        "state": plan.state.value,
        "input": dict(plan.input),
        "created_at": plan.created_at,
        "ended_at": plan.ended_at,
        "cancel_requested_at": plan.cancel_requested_at,
        "request_id": request_key(plan.tenant, plan.request_id),
        "request_digest": plan.request_digest,
        "trace_context": dict(plan.trace_context),
        "version": plan.version,
        "tenant": plan.tenant,
    }


def plan_of_row(row: sa.Row[Any], tasks: Iterable[Task] = ()) -> Plan:
    """A row of `plans` as a plan with these tasks."""
    return Plan(
        plan_id=row.plan_id,
        name=row.name,
        state=PlanState(row.state),
        input=row.input,
        created_at=row.created_at,
        sole=row.sole,
        tasks=tuple(tasks),
        ended_at=row.ended_at,
        cancel_requested_at=row.cancel_requested_at,
        request_id=(row.request_id or "").rpartition("/")[2],
        request_digest=row.request_digest,
        trace_context=row.trace_context,
        version=row.version,
        tenant=row.tenant,
    )


def row_of_task(task: Task, *, sole: bool) -> Row:
    """A task as a row of `tasks`."""
    return {
        "task_id": task.task_id,
        "plan_id": task.plan_id,
        "step_id": task.step_id,
        "position": task.position,
        "sole": sole,
        "spec": asdict(task.spec),
        "depends_on": list(task.depends_on),
        "state": task.state.value,
        "created_at": task.created_at,
        "attempt": task.attempt,
        "attempt_open": task.attempt_open,
        "burnt": task.burnt,
        "worker_id": task.worker and task.worker.worker_id,
        "instance_id": task.worker and task.worker.instance_id,
        "queue": task.queue,
        "placement_reason": task.placement_reason,
        "wait_reason": task.wait_reason,
        "output_bytes": task.output_bytes,
        "completion": row_value(task.completion),
        "failure": row_value(task.failure),
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "version": task.version,
        "output": task.output,
        "tenant": task.tenant,
        "wanted_queue": task.spec.queue,
        "changed_at": task.created_at,
        "spent": row_value(task.spent),
        **_row_of_trail(task.cancel_trail),
    }


def task_of_row(row: sa.Row[Any]) -> Task:
    """A row of `tasks` as a task."""
    return Task(
        task_id=row.task_id,
        plan_id=row.plan_id,
        step_id=row.step_id,
        position=row.position,
        spec=_spec(row.spec),
        depends_on=tuple(row.depends_on),
        state=TaskState(row.state),
        created_at=row.created_at,
        attempt=row.attempt,
        attempt_open=row.attempt_open,
        burnt=row.burnt,
        worker=WorkerInstance(row.worker_id, row.instance_id) if row.worker_id else None,
        queue=row.queue,
        placement_reason=row.placement_reason,
        wait_reason=row.wait_reason,
        output=row.output,
        output_bytes=row.output_bytes,
        completion=row.completion and _completion(row.completion),
        failure=row.failure and _failure(row.failure),
        started_at=row.started_at,
        ended_at=row.ended_at,
        spent=Usage(**(row.spent or {})),
        cancel_trail=_trail(row) if row.cancel_requested_at else None,
        version=row.version,
        tenant=row.tenant,
        plan_name=row.plan_name,
        trace_id=trace_id_of(row.trace_context),
    )


def row_of_entry(entry: Entry) -> Row:
    """Tokens, and what fences them, as parameters."""
    return {
        "of_task": entry.task_id,
        "of_attempt": entry.attempt,
        "of_worker": entry.worker.worker_id,
        "of_instance": entry.worker.instance_id,
        "its_last_seq": entry.batch.last_seq,
        "its_first_seq": entry.batch.first_seq,
        "its_payload": entry.batch.payload,
    }


def request_key(tenant: str, request_id: str) -> str | None:
    """What a request is known by: unique within its tenant. No slash is in either, and none in older rows."""
    if not request_id or tenant == DEFAULT_TENANT:
        return request_id or None
    return f"{tenant}/{request_id}"


def row_value(value: Completion | Failure | Usage | None) -> Row | None:
    """What the JSON columns of an end hold."""
    return None if value is None or value == Usage() else asdict(value)


def _row_of_trail(trail: CancelTrail | None) -> Row:
    return {f"cancel_{field.name}": trail and getattr(trail, field.name) for field in fields(CancelTrail)}


def _trail(row: sa.Row[Any]) -> CancelTrail:
    return CancelTrail(**{field.name: getattr(row, f"cancel_{field.name}") for field in fields(CancelTrail)})


def _spec(value: Mapping[str, Any]) -> TaskSpec:
    placement, policy = value["placement"], value["policy"]
    return TaskSpec(
        **{
            **value,
            "tools": tuple(value["tools"]),
            "placement": Placement(
                **{
                    **placement,
                    "requirements": _requirements(placement["requirements"]),
                    "preferred_queues": tuple(placement["preferred_queues"]),
                }
            ),
            "generation": Generation(**value["generation"]),
            "policy": RunPolicy(**{**policy, "on_worker_loss": OnWorkerLoss(policy["on_worker_loss"])}),
        }
    )


def _requirements(value: Mapping[str, Any]) -> Requirements:
    # Older rows do not speak of data.
    return Requirements(**{**value, "data_sources": tuple(value.get("data_sources", ()))})


def _completion(value: Mapping[str, Any]) -> Completion:
    return Completion(**{**value, "usage": Usage(**value["usage"])})


def _failure(value: Mapping[str, Any]) -> Failure:
    # Older rows do not speak of usage.
    usage = Usage(**value.get("usage", {}))
    return Failure(**{**value, "reason": FailureReason(value["reason"]), "usage": usage})
