"""What the mesh answers with, from the contract's messages. Pure functions, named by direction."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from devteam.events import (
    AttemptStarted,
    Event,
    Gap,
    PlanChanged,
    TaskChanged,
    TextToken,
    ThinkingToken,
    Token,
    Tokens,
    ToolCall,
    ToolResult,
)
from devteam.models import (
    Availability,
    CancelTrail,
    Candidate,
    Completion,
    Explanation,
    Failure,
    FailureReason,
    Plan,
    PlanState,
    QueueInfo,
    Task,
    TaskState,
    Usage,
    WorkerInfo,
    WorkerStatus,
)
from devteam.spec_wire import duration_from_proto, task_spec_from_proto
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, run_pb2

_State = TypeVar("_State", bound=StrEnum)


def task_from_proto(task: planner_pb2.Task) -> Task:
    """The task, with its output if the message has it."""
    return Task(
        id=task.task_id,
        plan_id=task.plan_id,
        step_id=task.step_id,
        state=_member(TaskState, planner_pb2.TaskState.Name, task.state, "TASK_STATE_"),
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
        created_at=_moment(task, "created_at"),
        started_at=_moment(task, "started_at"),
        ended_at=_moment(task, "ended_at"),
        cancel_trail=_trail(task.cancel_trail) if task.HasField("cancel_trail") else None,
        tenant=task.tenant,
    )


def plan_from_proto(plan: planner_pb2.Plan) -> Plan:
    """The plan, with its tasks if the message has them."""
    return Plan(
        id=plan.plan_id,
        name=plan.name,
        state=_member(PlanState, planner_pb2.PlanState.Name, plan.state, "PLAN_STATE_"),
        input=dict(plan.input),
        tasks=tuple(map(task_from_proto, plan.tasks)),
        created_at=_moment(plan, "created_at"),
        ended_at=_moment(plan, "ended_at"),
        cancel_requested_at=_moment(plan, "cancel_requested_at"),
        tenant=plan.tenant,
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


def worker_from_proto(worker: registry_pb2.Worker) -> WorkerInfo:
    """The worker, its state and availability put together into one status."""
    spec, machine = worker.spec, worker.spec.resources
    return WorkerInfo(
        id=worker.worker_id,
        status=_status(worker.state, worker.availability),
        status_reason=worker.state_reason,
        next_status=_worker_state(worker.next_state) if worker.next_state else None,
        next_status_at=_moment(worker, "next_state_time"),
        active_tasks=worker.active_tasks,
        concurrency=spec.concurrency or sum(queue.concurrency for queue in spec.queues),
        queues=tuple(queue.name for queue in spec.queues),
        models=_served_models(spec.queues),
        local_models=tuple(model.name for model in spec.local_models),
        tools=tuple(spec.tools),
        data_sources=tuple(spec.data_sources),
        labels=dict(spec.labels),
        gpu=machine.gpu,
        gpu_model=machine.gpu_model,
        ram_gb=machine.ram_gb,
        cpu_cores=machine.cpu_cores,
        version=spec.version,
        registered_at=_moment(worker, "registered_at"),
        last_heartbeat=_moment(worker, "last_heartbeat_at"),
        uptime=worker.uptime.ToTimedelta(),
        availability=_availability(worker.availability),
        drain_deadline_at=_moment(worker, "drain_deadline_at"),
        router_id=worker.router_id,
    )


def queue_from_proto(queue: router_pb2.Queue) -> QueueInfo:
    """The queue as it was when the answer was made."""
    return QueueInfo(
        name=queue.name,
        waiting=queue.waiting,
        running=queue.running,
        slots=queue.slots,
        workers=queue.workers,
        oldest_waiting_since=_moment(queue, "oldest_waiting_since"),
    )


def explanation_from_proto(response: router_pb2.ExplainResponse) -> Explanation:
    """Why a task waits or runs where it does."""
    candidates = tuple(
        Candidate(
            worker_id=candidate.worker_id,
            rejected_because=candidate.rejected_because,
            active=candidate.active,
            capacity=candidate.capacity,
            score=candidate.score,
        )
        for candidate in response.candidates
    )
    if response.WhichOneof("answer") == "assigned":
        worker, decision = response.assigned.worker, response.assigned.decision
        return Explanation(
            reason=decision.reason, queue=decision.queue, worker_id=worker.worker_id, candidates=candidates
        )
    return Explanation(reason=response.waiting.detail, queue=response.waiting.queue, candidates=candidates)


def availability_to_proto(availability: Availability | None) -> "registry_pb2.Availability.ValueType":
    """The contract's value; UNSPECIFIED for None."""
    if availability is None:
        return registry_pb2.AVAILABILITY_UNSPECIFIED
    return registry_pb2.Availability.Value(f"AVAILABILITY_{availability.name}")


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
        case "tool_call":
            return ToolCall(token.tool_call.call_id, token.tool_call.name, token.tool_call.arguments)
        case "tool_result":
            return ToolResult(token.tool_result.call_id, token.tool_result.content, token.tool_result.is_error)
    # A kind that this client does not know keeps its place in the numbering and adds nothing to the text.
    return TextToken(token.text)


def _trail(trail: planner_pb2.CancelTrail) -> CancelTrail:
    return CancelTrail(
        requested_at=_moment(trail, "requested_at"),
        router_told_at=_moment(trail, "router_told_at"),
        worker_told_at=_moment(trail, "worker_told_at"),
        stopped_at=_moment(trail, "stopped_at"),
        model_closed_after=duration_from_proto(trail, "model_closed_after"),
    )


def _completion(completion: run_pb2.Completion) -> Completion:
    usage = completion.usage
    return Completion(
        provider=completion.provider,
        model=completion.model,
        stop_reason=completion.stop_reason,
        usage=Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        ),
        time_to_first_token=duration_from_proto(completion, "time_to_first_token"),
    )


def _failure(failure: run_pb2.Failure) -> Failure:
    return Failure(
        reason=_member(FailureReason, run_pb2.FailureReason.Name, failure.reason, "FAILURE_REASON_"),
        message=failure.message,
        retryable=failure.retryable,
        retry_after=duration_from_proto(failure, "retry_after"),
    )


def _status(
    state: "registry_pb2.WorkerState.ValueType", availability: "registry_pb2.Availability.ValueType"
) -> WorkerStatus:
    status = _worker_state(state)
    if status is not WorkerStatus.HEALTHY:  # what is silent matters more than what it was told
        return status
    wish = _availability(availability)
    return status if wish is Availability.OPEN else WorkerStatus(wish)


def _availability(availability: "registry_pb2.Availability.ValueType") -> Availability:
    wishes = {
        registry_pb2.AVAILABILITY_CORDONED: Availability.CORDONED,
        registry_pb2.AVAILABILITY_DRAINING: Availability.DRAINING,
    }
    return wishes.get(availability, Availability.OPEN)


def _worker_state(state: "registry_pb2.WorkerState.ValueType") -> WorkerStatus:
    return _member(WorkerStatus, registry_pb2.WorkerState.Name, state, "WORKER_STATE_")


def _served_models(queues: Iterable[registry_pb2.WorkerQueue]) -> tuple[str, ...]:
    lists = [list(queue.models) for queue in queues]
    if not all(lists):  # a queue without patterns serves every model
        return ()
    return tuple(dict.fromkeys(model for models in lists for model in models))


def _member(kind: type[_State], name_of: Callable[[Any], str], number: int, prefix: str) -> _State:
    """The member of `kind` for the contract's PREFIX_NAME; UNKNOWN for a value newer than this client."""
    try:
        name = name_of(number).removeprefix(prefix)
    except ValueError:
        name = ""
    return kind.__members__.get(name, kind("unknown"))


def _moment(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None
