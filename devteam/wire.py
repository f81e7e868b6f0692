"""What becomes of tasks and plans, from the contract's messages. Pure functions, named by direction."""

from collections.abc import Mapping

from devteam.events import (
    AttemptStarted,
    Event,
    Gap,
    PlanChanged,
    ProgressToken,
    TaskChanged,
    TextToken,
    ThinkingToken,
    Token,
    Tokens,
    ToolCall,
    ToolResult,
)
from devteam.models import (
    CancelTrail,
    Completion,
    Failure,
    FailureReason,
    Plan,
    PlanState,
    Task,
    TaskState,
    Usage,
)
from devteam.scalars import duration_from_proto, member_from_proto, moment_from_proto
from devteam.spec_wire import task_spec_from_proto
from devteam.v1 import planner_pb2, run_pb2


def task_from_proto(task: planner_pb2.Task) -> Task:
    """The task, with its output if the message has it."""
    return Task(
        id=task.task_id,
        plan_id=task.plan_id,
        step_id=task.step_id,
        state=member_from_proto(TaskState, planner_pb2.TaskState.Name, task.state, "TASK_STATE_"),
        spec=task_spec_from_proto(task.spec),
        depends_on=tuple(task.depends_on),
        attempt=task.attempt,
        worker_id=task.worker_id,
        queue=task.queue,
        placement_reason=task.placement_reason,
        wait_reason=task.wait_reason,
        output=task.output,
        output_bytes=task.output_bytes,
        completion=_completion(task.completion) if task.HasField("completion") else None,
        failure=_failure(task.failure) if task.HasField("failure") else None,
        created_at=moment_from_proto(task, "created_at"),
        started_at=moment_from_proto(task, "started_at"),
        ended_at=moment_from_proto(task, "ended_at"),
        cancel_trail=_trail(task.cancel_trail) if task.HasField("cancel_trail") else None,
        tenant=task.tenant,
        trace_id=task.trace_id,
        plan_name=task.plan_name,
        usage=_usage(task.usage) if task.HasField("usage") else None,
    )


def plan_from_proto(plan: planner_pb2.Plan) -> Plan:
    """The plan, with its tasks if the message has them."""
    return Plan(
        id=plan.plan_id,
        name=plan.name,
        state=member_from_proto(PlanState, planner_pb2.PlanState.Name, plan.state, "PLAN_STATE_"),
        input=dict(plan.input),
        tasks=tuple(map(task_from_proto, plan.tasks)),
        created_at=moment_from_proto(plan, "created_at"),
        ended_at=moment_from_proto(plan, "ended_at"),
        cancel_requested_at=moment_from_proto(plan, "cancel_requested_at"),
        tenant=plan.tenant,
        trace_id=plan.trace_id,
    )


def event_from_proto(
    response: planner_pb2.WatchTaskResponse | planner_pb2.WatchPlanResponse, steps: Mapping[str, str]
) -> Event | None:
    """The event; None for a kind that this client does not know. `steps` holds the step id of each task."""
    match response.WhichOneof("event"):
        case "plan":
            assert isinstance(response, planner_pb2.WatchPlanResponse)
            return PlanChanged(plan_from_proto(response.plan))
        case "task":
            return TaskChanged(task_from_proto(response.task))
        case "attempt_started":
            started = response.attempt_started
            return AttemptStarted(started.task_id, steps.get(started.task_id, ""), started.attempt, started.reason)
        case "tokens":
            batch = response.tokens
            tokens = tuple(map(_token, batch.tokens))
            return Tokens(batch.task_id, steps.get(batch.task_id, ""), batch.attempt, batch.first_seq, tokens)
        case "gap":
            gap = response.gap
            return Gap(gap.task_id, steps.get(gap.task_id, ""), gap.attempt, gap.first_seq, gap.last_seq)
    return None


def task_state_to_proto(state: TaskState | None) -> "planner_pb2.TaskState.ValueType":
    """The contract's value; UNSPECIFIED, which means all, for None."""
    if state is None or state is TaskState.UNKNOWN:
        return planner_pb2.TASK_STATE_UNSPECIFIED
    return planner_pb2.TaskState.Value(f"TASK_STATE_{state.name}")


def plan_state_to_proto(state: PlanState | None) -> "planner_pb2.PlanState.ValueType":
    """The contract's value; UNSPECIFIED, which means all, for None."""
    if state is None or state is PlanState.UNKNOWN:
        return planner_pb2.PLAN_STATE_UNSPECIFIED
    return planner_pb2.PlanState.Value(f"PLAN_STATE_{state.name}")


def _token(token: run_pb2.Token) -> Token:
    match token.WhichOneof("content"):
        case "thinking":
            return ThinkingToken(token.thinking)
        case "progress":
            return ProgressToken(token.progress)
        case "tool_call":
            return ToolCall(token.tool_call.call_id, token.tool_call.name, token.tool_call.arguments)
        case "tool_result":
            result = token.tool_result
            return ToolResult(result.call_id, result.content, result.is_error, result.source)
    # A kind that this client does not know keeps its place in the numbering and adds nothing to the text.
    return TextToken(token.text)


def _trail(trail: planner_pb2.CancelTrail) -> CancelTrail:
    return CancelTrail(
        requested_at=moment_from_proto(trail, "requested_at"),
        router_told_at=moment_from_proto(trail, "router_told_at"),
        worker_told_at=moment_from_proto(trail, "worker_told_at"),
        stopped_at=moment_from_proto(trail, "stopped_at"),
        model_closed_after=duration_from_proto(trail, "model_closed_after"),
    )


def _completion(completion: run_pb2.Completion) -> Completion:
    return Completion(
        provider=completion.provider,
        model=completion.model,
        stop_reason=completion.stop_reason,
        usage=_usage(completion.usage),
        time_to_first_token=duration_from_proto(completion, "time_to_first_token"),
    )


def _usage(usage: run_pb2.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_usd=usage.cost_usd if usage.HasField("cost_usd") else None,
    )


def _failure(failure: run_pb2.Failure) -> Failure:
    return Failure(
        reason=member_from_proto(FailureReason, run_pb2.FailureReason.Name, failure.reason, "FAILURE_REASON_"),
        message=failure.message,
        retryable=failure.retryable,
        retry_after=duration_from_proto(failure, "retry_after"),
        usage=_usage(failure.usage),
    )
