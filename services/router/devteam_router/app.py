"""The Router's composition root."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.ids import Ids, TimeOrderedIds
from devteam.mesh.logs import configure_logs
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background, stop_signal
from devteam.mesh.telemetry import configure_telemetry
from devteam.v1 import router_pb2, router_pb2_grpc, worker_pb2, worker_pb2_grpc
from devteam_router.registry_client import RegistryClient, follow
from devteam_router.service import RouterCore
from devteam_router.servicer import RouterServicer, WorkerServicer
from devteam_router.settings import Settings

_NAMES = (
    router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name,
    worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name,
)


@asynccontextmanager
async def mounted(
    server: MeshServer, settings: Settings, clock: Clock, ids: Ids
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Mount the Router on a server; yields its background job, to be run once the server is up."""
    core = RouterCore(settings.policy, settings.graces, clock, Random(), ids.new("router"))  # noqa: S311 - breaks ties
    router_pb2_grpc.add_RouterServiceServicer_to_server(RouterServicer(core, clock), server.server)
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(core), server.server)

    server.serve(_NAMES, core.drain)
    async with open_channel(settings.registry_address) as channel:
        registry = RegistryClient(channel)

        async def job() -> None:
            await follow(registry, core.hear, clock)

        yield job


async def main() -> None:
    """Serve until a signal comes."""
    settings = Settings()
    configure_logs("router", level=settings.log_level)
    telemetry = configure_telemetry("devteam-router", settings.trace_file)
    clock = SystemClock()
    ids = TimeOrderedIds(clock)
    async with AsyncExitStack() as stack:
        if telemetry is not None:
            stack.callback(telemetry.shutdown)
        server = MeshServer(Listen(settings.host, settings.port, insecure=settings.insecure), ids)
        job = await stack.enter_async_context(mounted(server, settings, clock, ids))
        await server.start()
        stack.push_async_callback(server.stop)
        await stack.enter_async_context(background(job))
        await stop_signal()


def run() -> None:
    """Be the Router's process."""
    asyncio.run(main())
