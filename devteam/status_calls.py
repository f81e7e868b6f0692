"""Asking every service of a mesh how it stands, all at once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from devteam.connection import Connection
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.standing import Dependency, DependencyState
from devteam.scalars import member_from_proto, moment_from_proto
from devteam.standing import ServiceStatus
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, status_pb2


async def statuses(mesh: Connection, clock: Clock) -> tuple[ServiceStatus, ...]:
    """What registry, router and planner say. Raises DevTeamError when none of them can be asked."""
    failed: dict[str, DevTeamError] = {}

    async def asked(name: str, ask: Callable[[], Awaitable[status_pb2.ServiceStatus]]) -> ServiceStatus:
        began = clock.now()
        try:
            return status_from_proto(await ask(), began, clock.now())
        except DevTeamError as error:
            failed[name] = error
            return ServiceStatus(name=name, problem=error.message)

    async def registry() -> status_pb2.ServiceStatus:
        return (await mesh.call(mesh.registry.GetRegistryStatus, registry_pb2.GetRegistryStatusRequest())).status

    async def router() -> status_pb2.ServiceStatus:
        return (await mesh.call(mesh.router.GetRouterStatus, router_pb2.GetRouterStatusRequest())).status

    async def planner() -> status_pb2.ServiceStatus:
        return (await mesh.call(mesh.planner.GetPlannerStatus, planner_pb2.GetPlannerStatusRequest())).status

    services = (("registry", registry), ("router", router), ("planner", planner))
    answers = await asyncio.gather(*(asked(name, ask) for name, ask in services))
    if len(failed) == len(services):
        raise failed[services[0][0]]
    return tuple(answers)


def status_from_proto(status: status_pb2.ServiceStatus, asked_at: datetime, heard_at: datetime) -> ServiceStatus:
    """What a service said, asked and heard at these moments of this machine's clock."""
    now = moment_from_proto(status, "now")
    half = (heard_at - asked_at) / 2
    return ServiceStatus(
        name=status.name,
        instance=status.instance,
        version=status.version,
        python_version=status.python_version,
        started_at=moment_from_proto(status, "started_at"),
        now=now,
        clock_ahead=now - (asked_at + half) if now else timedelta(),
        clock_margin=half,
        dependencies=tuple(map(_dependency, status.dependencies)),
        traces=status.traces,
    )


def _dependency(dependency: status_pb2.Dependency) -> Dependency:
    return Dependency(
        name=dependency.name,
        address=dependency.address,
        state=member_from_proto(
            DependencyState, status_pb2.DependencyState.Name, dependency.state, "DEPENDENCY_STATE_"
        ),
        detail=dependency.detail,
        since=moment_from_proto(dependency, "since"),
    )
