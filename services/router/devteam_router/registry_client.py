"""The Registry, over gRPC."""

from collections.abc import AsyncGenerator, Callable

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.tasks import Backoff
from devteam.v1 import registry_pb2, registry_pb2_grpc
from devteam_router.attendance import Attendance
from devteam_router.convert.routing import wishes_from_proto
from devteam_router.convert.workers import link_report_to_proto, worker_from_proto
from devteam_router.ports import (
    FleetEvent,
    FleetSnapshot,
    LinkReport,
    Registry,
    RoutersChanged,
    RoutingChanged,
    WorkerChanged,
    WorkerRemoved,
)

_log = structlog.get_logger()

_CALL_TIMEOUT = 10.0
_AWAY = (
    "it does not answer, so that workers and routing are taken as they were known last: see whether it runs there, or "
    "set DEVTEAM_ROUTER_REGISTRY_ADDRESS"
)


class RegistryClient:
    """The Registry port on a channel. `address` is where this Router is reached; empty: nobody is told."""

    def __init__(self, channel: grpc.aio.Channel, router_id: str, address: str = "") -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._router_id = router_id
        self._address = address

    async def watch(self) -> AsyncGenerator[FleetEvent, None]:
        """A snapshot, then every change. Raises a DevTeamError when the line breaks."""
        request = registry_pb2.WatchWorkersRequest(router_id=self._router_id, address=self._address)
        call = self._stub.WatchWorkers(request)
        first = True
        try:
            async for response in call:
                if (event := _event(response, first=first)) is not None:
                    first = first and not isinstance(event, FleetSnapshot)
                    yield event
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error
        finally:
            call.cancel()

    async def report(self, report: LinkReport) -> None:
        """Say which workers have a stream to this Router. Raises a DevTeamError when it was not heard."""
        try:
            await self._stub.ReportLinks(link_report_to_proto(report, self._router_id), timeout=_CALL_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error


async def tell(registry: Registry, attendance: Attendance, clock: Clock) -> None:
    """Keep the Registry told of workers' streams, for ever, one report at a time."""
    backoff = Backoff(clock)
    while True:
        report = await attendance.news()
        try:
            await registry.report(report)
        except DevTeamError as error:
            attendance.unheard(report)
            _log.warning("links not reported", why=error.message, links=len(report.links))
            await backoff.pause()
        else:
            backoff.reset()


async def follow(
    registry: Registry,
    hear: Callable[[FleetEvent], None],
    clock: Clock,
    found: Callable[[str], None] = lambda _: None,
) -> None:
    """Keep hearing of the fleet, for ever. While the Registry is away, what it said last holds.

    `found` is told what is wrong with the Registry, or nothing when it speaks.
    """
    backoff = Backoff(clock)
    while True:
        try:
            async for event in registry.watch():
                backoff.reset()
                found("")
                hear(event)
        except DevTeamError as error:
            _log.warning("registry not reachable", why=error.message)
            found(_AWAY)
        await backoff.pause()


def _event(response: registry_pb2.WatchWorkersResponse, *, first: bool) -> FleetEvent | None:
    match response.WhichOneof("event"):
        case "snapshot":
            workers = tuple(worker_from_proto(record) for record in response.snapshot.workers)
            return FleetSnapshot(workers, response.snapshot.complete, first)
        case "changed":
            return WorkerChanged(worker_from_proto(response.changed))
        case "removed":
            return WorkerRemoved(response.removed.worker_id)
        case "routing":
            return RoutingChanged(wishes_from_proto(response.routing))
        case "routers":
            return RoutersChanged({router.router_id: router.address for router in response.routers.routers})
    return None
