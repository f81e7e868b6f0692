"""Where a Registry is put together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.database import Database, open_database
from devteam.mesh.database_footing import database_footing
from devteam.mesh.errors import Unavailable
from devteam.mesh.ids import Ids
from devteam.mesh.metrics.readings import readable
from devteam.mesh.server import MeshServer
from devteam.mesh.service import run_service
from devteam.mesh.standing import OwnStanding, traces_go
from devteam.v1 import registry_pb2
from devteam.v1.registry_pb2_grpc import add_RegistryServiceServicer_to_server
from devteam_registry import meters
from devteam_registry.ports import RoutingStore, WorkerStore
from devteam_registry.service import Registry
from devteam_registry.servicer import RegistryServicer
from devteam_registry.settings import Settings
from devteam_registry.store.memory import MemoryRoutingStore, MemoryWorkerStore
from devteam_registry.store.sql import MIGRATIONS, SqlRoutingStore, SqlWorkerStore

SERVICE = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name

_log = structlog.get_logger()


@asynccontextmanager
async def mounted(
    server: MeshServer,
    settings: Settings,
    clock: Clock,
    ids: Ids,  # noqa: ARG001 - every service is mounted with the same arguments
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Put a Registry on `server`; yields the job that has to run beside it once the server is up.

    Raises Unavailable when the store cannot be opened.
    """
    policy = settings.policy()
    async with _opened_stores(settings.database_url) as (workers, routing, database):
        registry = Registry(workers, routing, clock, policy, watcher_backlog=settings.watcher_backlog)
        await registry.open()
        footing = database_footing(settings.database_url, database, clock)
        standing = OwnStanding("registry", clock, lambda: [footing], traces=traces_go(settings.trace_file))
        servicer = RegistryServicer(registry, policy, settings.router_addresses, standing)
        add_RegistryServiceServicer_to_server(servicer, server.server)
        server.serve([SERVICE], registry.stop_watches)
        try:
            with readable(partial(meters.read, registry)):
                yield registry.run
        finally:
            await _close(registry)


def run() -> None:
    """Be the Registry's process."""
    run_service("registry", Settings, mounted)


@asynccontextmanager
async def _opened_stores(url: str) -> AsyncIterator[tuple[WorkerStore, RoutingStore, Database | None]]:
    if url == "memory":
        yield MemoryWorkerStore(), MemoryRoutingStore(), None
        return
    database = await open_database(url, MIGRATIONS)
    try:
        yield SqlWorkerStore(database), SqlRoutingStore(database), database
    finally:
        await database.close()


async def _close(registry: Registry) -> None:
    try:
        await registry.close()
    except Unavailable as error:
        # Beats of the last second; the next start gives everyone a fresh grace anyway.
        _log.warning("last flush failed", error=error.message)
