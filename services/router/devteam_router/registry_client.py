"""The Registry, over gRPC."""

from collections.abc import AsyncGenerator, Callable

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.tasks import Backoff
from devteam.v1 import registry_pb2, registry_pb2_grpc
from devteam_router.convert.workers import worker_from_proto
from devteam_router.ports import FleetEvent, FleetSnapshot, Registry, WorkerChanged, WorkerRemoved

_log = structlog.get_logger()


class RegistryClient:
    """The Registry port on a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)

    async def watch(self) -> AsyncGenerator[FleetEvent, None]:
        """A snapshot, then every change. Raises a DevTeamError when the line breaks."""
        call = self._stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
        first = True
        try:
            async for response in call:
                if (event := _event(response, first=first)) is not None:
                    yield event
                first = False
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error
        finally:
            call.cancel()


async def follow(registry: Registry, hear: Callable[[FleetEvent], None], clock: Clock) -> None:
    """Keep hearing of the fleet, for ever. While the Registry is away, what it said last holds."""
    backoff = Backoff(clock)
    while True:
        try:
            async for event in registry.watch():
                backoff.reset()
                hear(event)
        except DevTeamError as error:
            _log.warning("registry not reachable", why=error.message)
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
    return None
