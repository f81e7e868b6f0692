"""What those who look on see of the tasks of a fake mesh."""

from devteam.v1 import planner_pb2 as pb


def shown_since(task: pb.Task, request: pb.WatchTasksRequest) -> bool:
    """Whether a watch begins with this task."""
    if not task.HasField("ended_at"):
        return True
    return request.HasField("since") and task.ended_at.ToDatetime() >= request.since.ToDatetime()


def seen_task(task: pb.Task) -> pb.Task:
    """A copy as it stands now, without its prompts and its output."""
    copy = pb.Task()
    copy.CopyFrom(task)
    copy.ClearField("output")
    copy.spec.ClearField("prompt")
    copy.spec.ClearField("system_prompt")
    return copy


def seen_event(event: pb.WatchPlanResponse, *, progress: bool) -> pb.WatchTasksResponse | None:
    """What is told of something that happened; None when that is nothing."""
    match event.WhichOneof("event"):
        case "plan":
            return pb.WatchTasksResponse(tasks=map(seen_task, event.plan.tasks), current=True)
        case "task":
            return pb.WatchTasksResponse(tasks=[seen_task(event.task)], current=True)
        case "tokens" if progress:
            tokens = event.tokens
            said = tokens.first_seq + len(tokens.tokens) - 1
            told = pb.TaskProgress(task_id=tokens.task_id, attempt=tokens.attempt, tokens=said)
            return pb.WatchTasksResponse(progress=[told], current=True)
    return None
