"""DevTeam Orchestrator's Python SDK.

>>> from devteam import DevTeamClient
>>> async def ask(prompt: str) -> str:
...     async with DevTeamClient() as client:
...         task = await client.create_task(prompt, model="haiku")
...         return (await client.wait(task.id)).output

What a call may raise is in `devteam.errors`, an in-process mesh for your own tests in `devteam.testing`.
"""

from typing import TYPE_CHECKING

from devteam.errors import DevTeamError
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

if TYPE_CHECKING:
    from devteam.client import DevTeamClient

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


def __getattr__(name: str) -> object:
    # The client needs gRPC, which takes its time; the mesh's own services import this package for its other parts.
    if name == "DevTeamClient":
        from devteam.client import DevTeamClient

        return DevTeamClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
