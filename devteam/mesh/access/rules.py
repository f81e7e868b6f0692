"""What each role may call. What is not in this table, nobody may."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from devteam.mesh.access.caller import Role


class Rate(StrEnum):
    """What a call counts against, for its key."""

    # Nothing: beats, and what the services say among themselves.
    FREE = "free"
    READ = "read"
    # Tasks and plans.
    CREATE = "create"
    # What changes something else.
    WRITE = "write"
    # A stream that stays open.
    STREAM = "stream"
    # A batch of spans.
    SPANS = "spans"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may make a call, what it counts against, and whether the audit log tells of it."""

    roles: frozenset[Role]
    rate: Rate = Rate.READ
    audited: bool = False
    # Or only where its request sets this field.
    audited_if: str = ""
    # Also without a key.
    open: bool = False


_PEOPLE = frozenset({Role.CLIENT, Role.OPERATOR, Role.ADMIN})
_OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})
_WORKERS = frozenset({Role.WORKER})
_SERVICES = frozenset({Role.SERVICE})
_ALL = frozenset(Role)

_PLANNER, _REGISTRY, _ROUTER = "devteam.v1.PlannerService", "devteam.v1.RegistryService", "devteam.v1.RouterService"
_ACCESS, _KEDA = "devteam.v1.AccessService", "externalscaler.ExternalScaler"
_OTLP = "opentelemetry.proto.collector.trace.v1.TraceService"
# A watch that stops what it watches once nobody looks on.
_CANCELS = "cancel_on_disconnect"

RULES: Final[Mapping[str, Rule]] = {
    f"/{_PLANNER}/CreateTask": Rule(_PEOPLE, Rate.CREATE),
    f"/{_PLANNER}/GetTask": Rule(_PEOPLE),
    f"/{_PLANNER}/ListTasks": Rule(_PEOPLE),
    f"/{_PLANNER}/WatchTask": Rule(_PEOPLE, Rate.STREAM, audited_if=_CANCELS),
    f"/{_PLANNER}/CancelTask": Rule(_PEOPLE, Rate.WRITE, audited=True),
    f"/{_PLANNER}/CreatePlan": Rule(_PEOPLE, Rate.CREATE),
    f"/{_PLANNER}/GetPlan": Rule(_PEOPLE),
    f"/{_PLANNER}/ListPlans": Rule(_PEOPLE),
    f"/{_PLANNER}/WatchPlan": Rule(_PEOPLE, Rate.STREAM, audited_if=_CANCELS),
    f"/{_PLANNER}/CancelPlan": Rule(_PEOPLE, Rate.WRITE, audited=True),
    f"/{_PLANNER}/WatchTasks": Rule(_PEOPLE, Rate.STREAM),
    f"/{_PLANNER}/GetPlannerStatus": Rule(_PEOPLE),
    f"/{_PLANNER}/EraseTenant": Rule(_ADMINS, Rate.WRITE, audited=True),
    f"/{_REGISTRY}/RegisterWorker": Rule(_WORKERS, Rate.WRITE),
    f"/{_REGISTRY}/Heartbeat": Rule(_WORKERS, Rate.FREE),
    f"/{_REGISTRY}/DeregisterWorker": Rule(_WORKERS | _OPERATORS, Rate.WRITE, audited=True),
    f"/{_REGISTRY}/GetWorker": Rule(_PEOPLE | _WORKERS),
    f"/{_REGISTRY}/ListWorkers": Rule(_PEOPLE),
    f"/{_REGISTRY}/WatchWorkers": Rule(_PEOPLE | _SERVICES, Rate.STREAM),
    f"/{_REGISTRY}/ReportLinks": Rule(_SERVICES, Rate.FREE),
    f"/{_REGISTRY}/UpdateWorker": Rule(_OPERATORS, Rate.WRITE, audited=True),
    f"/{_REGISTRY}/GetRouting": Rule(_PEOPLE),
    f"/{_REGISTRY}/UpdateRouting": Rule(_OPERATORS, Rate.WRITE, audited=True),
    f"/{_REGISTRY}/UpdateQueue": Rule(_OPERATORS, Rate.WRITE, audited=True),
    f"/{_REGISTRY}/GetRegistryStatus": Rule(_PEOPLE),
    f"/{_ROUTER}/Dispatch": Rule(_SERVICES, Rate.FREE),
    f"/{_ROUTER}/AckDispatches": Rule(_SERVICES, Rate.FREE),
    f"/{_ROUTER}/CancelDispatch": Rule(_SERVICES, Rate.FREE),
    f"/{_ROUTER}/ShareThrottle": Rule(_SERVICES, Rate.FREE),
    # Routers ask each other, too.
    f"/{_ROUTER}/Explain": Rule(_PEOPLE | _SERVICES),
    f"/{_ROUTER}/ListQueues": Rule(_PEOPLE | _SERVICES),
    f"/{_ROUTER}/GetQueue": Rule(_PEOPLE | _SERVICES),
    f"/{_ROUTER}/GetRouterStatus": Rule(_PEOPLE),
    "/devteam.v1.WorkerService/Connect": Rule(_WORKERS, Rate.STREAM),
    "/devteam.v1.TraceService/GetTrace": Rule(_PEOPLE),
    f"/{_ACCESS}/CreateKey": Rule(_ADMINS | _SERVICES, Rate.WRITE, audited=True),
    f"/{_ACCESS}/ListKeys": Rule(_ADMINS | _SERVICES),
    f"/{_ACCESS}/RevokeKey": Rule(_ADMINS | _SERVICES, Rate.WRITE, audited=True),
    f"/{_ACCESS}/CreateJoinToken": Rule(_OPERATORS | _SERVICES, Rate.WRITE, audited=True),
    f"/{_ACCESS}/JoinWorker": Rule(_ALL, Rate.WRITE, audited=True, open=True),
    f"/{_ACCESS}/GetIdentity": Rule(_ALL),
    f"/{_ACCESS}/WatchKeys": Rule(_SERVICES, Rate.FREE),
    f"/{_ACCESS}/GetKeysRevision": Rule(_SERVICES, Rate.FREE),
    # Workers and clients send their spans to whom they know anyway.
    f"/{_OTLP}/Export": Rule(_ALL, Rate.SPANS),
    # KEDA reads numbers from inside the cluster. It can show a certificate, and no key.
    f"/{_KEDA}/IsActive": Rule(_OPERATORS | _SERVICES),
    f"/{_KEDA}/StreamIsActive": Rule(_OPERATORS | _SERVICES, Rate.FREE),
    f"/{_KEDA}/StreamMetricSpec": Rule(_OPERATORS | _SERVICES, Rate.FREE),
    f"/{_KEDA}/GetMetricSpec": Rule(_OPERATORS | _SERVICES),
    f"/{_KEDA}/GetMetrics": Rule(_OPERATORS | _SERVICES),
    # What an orchestrator probes before it has any secret, and what a stranger learns nothing from.
    "/grpc.health.v1.Health/Check": Rule(_ALL, Rate.FREE, open=True),
    "/grpc.health.v1.Health/List": Rule(_ALL, Rate.FREE, open=True),
    "/grpc.health.v1.Health/Watch": Rule(_ALL, Rate.FREE, open=True),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Rule(_ALL, Rate.FREE, open=True),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(_ALL, Rate.FREE, open=True),
}
