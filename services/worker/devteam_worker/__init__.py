"""Workers of a DevTeam mesh: `from devteam_worker import DevTeamWorker`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devteam_worker.failures import Fatal, RateLimited, Retryable, TaskFailed
    from devteam_worker.owner_task import StartedTask, Task
    from devteam_worker.tools.base import ToolError
    from devteam_worker.worker import DevTeamWorker

__all__ = ["DevTeamWorker", "Fatal", "RateLimited", "Retryable", "StartedTask", "Task", "TaskFailed", "ToolError"]

_HOMES = {
    "DevTeamWorker": "worker",
    "Fatal": "failures",
    "RateLimited": "failures",
    "Retryable": "failures",
    "StartedTask": "owner_task",
    "Task": "owner_task",
    "TaskFailed": "failures",
    "ToolError": "tools.base",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line starts faster without the others."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"devteam_worker.{_HOMES[name]}"), name)
