"""DevTeam Orchestrator's Python SDK.

>>> from devteam import DevTeamClient
>>> async def ask(prompt: str) -> str:
...     async with DevTeamClient() as client:
...         task = await client.create_task(prompt, model="haiku")
...         return (await client.wait(task.id)).output

What a call may raise is in `devteam.errors`, an in-process mesh for your own tests in `devteam.testing`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

# gRPC's handlers of a fork crash children of a process whose gRPC is busy, a quarter of them: those that a tool of a
# worker makes, too. It reads this when it is imported, so that nothing of ours may be imported before.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from devteam.errors import DevTeamError

if TYPE_CHECKING:
    from devteam.client import DevTeamClient
    from devteam.events import (
        AttemptStarted,
        Event,
        Gap,
        Interrupted,
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
    from devteam.keys import Identity, JoinToken, Key, NewKey, Role
    from devteam.models import (
        Availability,
        CancelTrail,
        Candidate,
        Completion,
        Erased,
        Explanation,
        Failure,
        FailureReason,
        Plan,
        PlanState,
        QueueInfo,
        Task,
        TaskState,
        Throttle,
        Usage,
        WaitReason,
        WorkerInfo,
        Workers,
        WorkerStatus,
    )
    from devteam.routing import ModelLimit, QueuePolicy, Routing
    from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
    from devteam.specs import (
        Generation,
        LoadBalancing,
        OnWorkerLoss,
        Placement,
        Requirements,
        RunPolicy,
        Step,
        Strategy,
        TaskSpec,
    )
    from devteam.standing import Dependency, DependencyState, ServiceStatus
    from devteam.traces import Span, SpanEvent, SpanKind, SpanLink, Trace

__all__ = [
    "AttemptStarted",
    "Availability",
    "CancelTrail",
    "Candidate",
    "Completion",
    "Dependency",
    "DependencyState",
    "DevTeamClient",
    "DevTeamError",
    "Erased",
    "Event",
    "Explanation",
    "Failure",
    "FailureReason",
    "Gap",
    "Generation",
    "Identity",
    "Interrupted",
    "JoinToken",
    "Key",
    "LoadBalancing",
    "ModelLimit",
    "NewKey",
    "OnWorkerLoss",
    "Placement",
    "Plan",
    "PlanChanged",
    "PlanState",
    "ProgressToken",
    "QueueInfo",
    "QueuePolicy",
    "Requirements",
    "Role",
    "Routing",
    "RunPolicy",
    "ServiceStatus",
    "Span",
    "SpanEvent",
    "SpanKind",
    "SpanLink",
    "Step",
    "Strategy",
    "Task",
    "TaskChanged",
    "TaskProgress",
    "TaskSpec",
    "TaskState",
    "TasksSeen",
    "TextToken",
    "ThinkingToken",
    "Throttle",
    "Token",
    "Tokens",
    "ToolCall",
    "ToolResult",
    "Trace",
    "Usage",
    "WaitReason",
    "WorkerInfo",
    "WorkerStatus",
    "Workers",
    "WorkersSeen",
]

# Where the names are defined. All parts of the mesh stand on this package, and most need no more of it than its errors:
# the module of any other name is imported once somebody asks for it.
_MODULES = {
    "client": "DevTeamClient",
    "events": (
        "AttemptStarted Event Gap Interrupted PlanChanged ProgressToken TaskChanged TextToken ThinkingToken Token "
        "Tokens ToolCall ToolResult"
    ),
    "keys": "Identity JoinToken Key NewKey Role",
    "models": (
        "Availability CancelTrail Candidate Completion Erased Explanation Failure FailureReason Plan PlanState "
        "QueueInfo Task TaskState Throttle Usage WaitReason WorkerInfo Workers WorkerStatus"
    ),
    "routing": "ModelLimit QueuePolicy Routing",
    "sightings": "TaskProgress TasksSeen WorkersSeen",
    "specs": "Generation LoadBalancing OnWorkerLoss Placement Requirements RunPolicy Step Strategy TaskSpec",
    "standing": "Dependency DependencyState ServiceStatus",
    "traces": "Span SpanEvent SpanKind SpanLink Trace",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
