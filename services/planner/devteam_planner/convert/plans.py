"""Plans, tasks and what watchers are told, on their way to clients."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh import paging
from devteam.mesh.trace_context import trace_id_of
from devteam.mesh.validation import Violations
from devteam.v1 import planner_pb2, run_pb2
from devteam_planner.convert.specs import duration_to_proto, spec_to_proto
from devteam_planner.domain import CancelTrail, Completion, Failure, Plan, PlanState, Task, TaskState, Usage
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

# Pages end early rather than outgrow a message.
_MAX_PAGE_BYTES = 3 * 1024 * 1024

_PLAN_STATES: dict[int, PlanState | None] = {
    0: None,
    **{planner_pb2.PlanState.Value(f"PLAN_STATE_{state.name}"): state for state in PlanState},
}
_TASK_STATES: dict[int, TaskState | None] = {
    0: None,
    **{planner_pb2.TaskState.Value(f"TASK_STATE_{state.name}"): state for state in TaskState},
}


def digest_of(request: Message) -> str:
    """What tells a repeated create from another one: everything in it but its request_id."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    digest = hashlib.sha256(body.DESCRIPTOR.full_name.encode())
    digest.update(body.SerializeToString(deterministic=True))
    return digest.hexdigest()


def id_from_proto(field: str, value: str) -> str:
    """The id of a plan or task. Raises InvalidInput."""
    found = Violations()
    found.name(field, value)
    found.raise_if_any()
    return value


def plan_state_from_proto(number: int) -> PlanState | None:
    """A plan's state to look for; None for any. Raises InvalidInput."""
    found = Violations()
    found.enum("state", number, list(_PLAN_STATES))
    found.raise_if_any()
    return _PLAN_STATES[number]


def task_state_from_proto(number: int) -> TaskState | None:
    """A task's state to look for; None for any. Raises InvalidInput."""
    found = Violations()
    found.enum("state", number, list(_TASK_STATES))
    found.raise_if_any()
    return _TASK_STATES[number]


def page_size_from_proto(size: int) -> int:
    """How many entries a page shall have. Raises InvalidInput."""
    return paging.page_size(size, default=50, limit=500)


def cursors_from_proto(request: planner_pb2.WatchPlanRequest) -> dict[str, Cursor]:
    """How far a plan's tasks were read, by task id."""
    return {cursor.task_id: Cursor(cursor.attempt, cursor.after_seq) for cursor in request.after}


def plan_to_proto(plan: Plan) -> planner_pb2.Plan:
    """A plan with its tasks."""
    return planner_pb2.Plan(
        plan_id=plan.plan_id,
        name=plan.name,
        state=planner_pb2.PlanState.Value(f"PLAN_STATE_{plan.state.name}"),
        input=dict(plan.input),
        tasks=[task_to_proto(task) for task in plan.tasks],
        created_at=_timestamp(plan.created_at),
        ended_at=_timestamp(plan.ended_at),
        cancel_requested_at=_timestamp(plan.cancel_requested_at),
        tenant=plan.tenant,
        trace_id=trace_id_of(plan.trace_context),
    )


def task_to_proto(task: Task, *, with_output: bool = False) -> planner_pb2.Task:
    """A task; its output only where the contract has it."""
    return planner_pb2.Task(
        task_id=task.task_id,
        plan_id=task.plan_id,
        step_id=task.step_id,
        depends_on=task.depends_on,
        state=planner_pb2.TaskState.Value(f"TASK_STATE_{task.state.name}"),
        attempt=task.attempt,
        spec=spec_to_proto(task.spec),
        worker_id=task.worker.worker_id if task.worker else "",
        queue=task.queue,
        placement_reason=task.placement_reason,
        wait_reason=task.wait_reason,
        output=task.output if with_output else "",
        output_bytes=task.output_bytes,
        completion=_completion_to_proto(task.completion) if task.completion else None,
        failure=_failure_to_proto(task.failure) if task.failure else None,
        created_at=_timestamp(task.created_at),
        started_at=_timestamp(task.started_at),
        ended_at=_timestamp(task.ended_at),
        cancel_trail=_trail_to_proto(task.cancel_trail) if task.cancel_trail else None,
        tenant=task.tenant,
        trace_id=task.trace_id,
        plan_name=task.plan_name,
        usage=_known_to_proto(task.usage),
    )


def task_page_to_proto(tasks: Sequence[Task], size: int) -> planner_pb2.ListTasksResponse:
    """The first of `tasks`: as many as fit into a page of `size`, and where the next page starts if some are left."""
    page = planner_pb2.ListTasksResponse()
    taken = 0
    for task in tasks[:size]:
        message = task_to_proto(task)
        taken += message.ByteSize()
        if page.tasks and taken > _MAX_PAGE_BYTES:
            break
        page.tasks.append(message)
    if len(page.tasks) < len(tasks):
        page.next_page_token = paging.page_token(page.tasks[-1].task_id)
    return page


def plan_page_to_proto(plans: Sequence[Plan], size: int) -> planner_pb2.ListPlansResponse:
    """As task_page_to_proto."""
    page = planner_pb2.ListPlansResponse()
    taken = 0
    for plan in plans[:size]:
        message = plan_to_proto(plan)
        taken += message.ByteSize()
        if page.plans and taken > _MAX_PAGE_BYTES:
            break
        page.plans.append(message)
    if len(page.plans) < len(plans):
        page.next_page_token = paging.page_token(page.plans[-1].plan_id)
    return page


def task_event_to_proto(event: TaskEvent) -> planner_pb2.WatchTaskResponse:
    """What a watcher of a task is told."""
    match event:
        case TaskChanged():
            return planner_pb2.WatchTaskResponse(task=task_to_proto(event.task))
        case AttemptStarted():
            return planner_pb2.WatchTaskResponse(attempt_started=_attempt_to_proto(event))
        case TokensRead():
            return planner_pb2.WatchTaskResponse(tokens=tokens_to_proto(event))
        case Gap():
            return planner_pb2.WatchTaskResponse(gap=_gap_to_proto(event))


def plan_event_to_proto(event: PlanEvent) -> planner_pb2.WatchPlanResponse:
    """What a watcher of a plan is told."""
    match event:
        case PlanSnapshot():
            return planner_pb2.WatchPlanResponse(plan=plan_to_proto(event.plan))
        case TaskChanged():
            return planner_pb2.WatchPlanResponse(task=task_to_proto(event.task))
        case AttemptStarted():
            return planner_pb2.WatchPlanResponse(attempt_started=_attempt_to_proto(event))
        case TokensRead():
            return planner_pb2.WatchPlanResponse(tokens=tokens_to_proto(event))
        case Gap():
            return planner_pb2.WatchPlanResponse(gap=_gap_to_proto(event))


def tokens_to_proto(event: TokensRead) -> run_pb2.Tokens:
    """The tokens of a batch that the watcher has not had yet."""
    stored = run_pb2.Tokens.FromString(event.batch.payload)
    had = max(0, event.after + 1 - event.batch.first_seq)
    return run_pb2.Tokens(
        task_id=event.task_id,
        attempt=event.attempt,
        first_seq=event.batch.first_seq + had,
        tokens=stored.tokens[had:] if had else stored.tokens,
    )


def _attempt_to_proto(event: AttemptStarted) -> planner_pb2.AttemptStarted:
    return planner_pb2.AttemptStarted(task_id=event.task_id, attempt=event.attempt, reason=event.reason)


def _gap_to_proto(event: Gap) -> planner_pb2.TokenGap:
    return planner_pb2.TokenGap(
        task_id=event.task_id, attempt=event.attempt, first_seq=event.first_seq, last_seq=event.last_seq
    )


def _trail_to_proto(trail: CancelTrail) -> planner_pb2.CancelTrail:
    took = trail.model_closed_after
    return planner_pb2.CancelTrail(
        requested_at=_timestamp(trail.requested_at),
        router_told_at=_timestamp(trail.router_told_at),
        worker_told_at=_timestamp(trail.worker_told_at),
        stopped_at=_timestamp(trail.stopped_at),
        model_closed_after=None if took is None else duration_to_proto(took),
    )


def _completion_to_proto(completion: Completion) -> run_pb2.Completion:
    return run_pb2.Completion(
        provider=completion.provider,
        model=completion.model,
        stop_reason=completion.stop_reason,
        usage=_usage_to_proto(completion.usage),
        time_to_first_token=duration_to_proto(completion.time_to_first_token),
    )


def _known_to_proto(usage: Usage) -> run_pb2.Usage | None:
    return None if usage == Usage() else _usage_to_proto(usage)


def _usage_to_proto(usage: Usage) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_usd=usage.cost_usd,
    )


def _failure_to_proto(failure: Failure) -> run_pb2.Failure:
    return run_pb2.Failure(
        reason=run_pb2.FailureReason.Value(f"FAILURE_REASON_{failure.reason.name}"),
        message=failure.message,
        retryable=failure.retryable,
        usage=_known_to_proto(failure.usage),
        retry_after=None if failure.retry_after is None else duration_to_proto(failure.retry_after),
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
