"""Tasks, workers and queues as the page's overview needs them: JSON, and no more than is shown."""

from devteam.models import QueueInfo, Task, Throttle, WorkerInfo
from devteam.standing import ServiceStatus
from devteam_cli.output import members, plain
from devteam_cli.page.board import Content

_OF_TASKS = (
    *("id", "plan_id", "plan_name", "step_id", "model", "queue", "worker_id", "attempt", "depends_on", "trace_id"),
    *("wait_reason", "placement_reason", "created_at", "started_at", "ended_at", "tenant"),
)


def worker_content(worker: WorkerInfo) -> Content:
    """All about a worker."""
    return members(worker)


def queue_content(queue: QueueInfo) -> Content:
    """All about a queue."""
    return members(queue)


def throttle_content(throttle: Throttle) -> Content:
    """All about a model that is kept waiting."""
    return members(throttle)


def task_content(task: Task) -> Content:
    """A task in a list: where it is and how it stands, without what was asked and answered."""
    content = {name: plain(getattr(task, name)) for name in _OF_TASKS}
    content["state"] = task.state.value
    content["queue"] = task.queue or task.spec.queue
    if task.failure:
        content["failure"] = f"{task.failure.reason.value}: {task.failure.message}"
    if task.usage:
        content["output_tokens"] = task.usage.output_tokens
        content["cost_usd"] = task.usage.cost_usd
    return content


def service_content(service: ServiceStatus) -> Content:
    """How a service stands, and what it does not find of what it needs."""
    return {
        "name": service.name,
        "version": service.version,
        "started_at": plain(service.started_at),
        "problem": service.problem,
        "away": [{"name": one.name, "detail": one.detail} for one in service.away],
    }
