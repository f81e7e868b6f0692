"""Where a Registry is put together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from devteam.mesh.access.keyring import Keyring
from devteam.mesh.clock import Clock
from devteam.mesh.database import Database, open_database
from devteam.mesh.database_footing import database_footing
from devteam.mesh.errors import Unavailable
from devteam.mesh.ids import Ids
from devteam.mesh.metrics.readings import readable
from devteam.mesh.process import whole
from devteam.mesh.server import MeshServer
from devteam.mesh.service import run_service
from devteam.mesh.standing import OwnStanding, traces_go
from devteam.mesh.tasks import together
from devteam.mesh.usage import answer
from devteam.v1 import access_pb2, registry_pb2
from devteam.v1.access_pb2_grpc import add_AccessServiceServicer_to_server
from devteam.v1.registry_pb2_grpc import add_RegistryServiceServicer_to_server
from devteam_registry import meters
from devteam_registry.keys.ports import KeyStore
from devteam_registry.keys.service import Keys
from devteam_registry.keys.servicer import AccessServicer
from devteam_registry.ports import RoutingStore, WorkerStore
from devteam_registry.service import Registry
from devteam_registry.servicer import RegistryServicer
from devteam_registry.settings import Settings
from devteam_registry.store.memory import MemoryRoutingStore, MemoryWorkerStore
from devteam_registry.store.memory_keys import MemoryKeyStore
from devteam_registry.store.sql import MIGRATIONS, SqlRoutingStore, SqlWorkerStore
from devteam_registry.store.sql_keys import SqlKeyStore

SERVICE = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
ACCESS = access_pb2.DESCRIPTOR.services_by_name["AccessService"].full_name

_log = structlog.get_logger()


@asynccontextmanager
async def mounted(
    server: MeshServer,
    settings: Settings,
    clock: Clock,
    ids: Ids,  # noqa: ARG001 - every service is mounted with the same arguments
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Put a Registry on `server`; yields the job that has to run beside it once the server is up.

    It fills the server's keyring, if it has one: a key that it revokes opens nothing there at once. Raises Unavailable
    when the store cannot be opened.
    """
    policy = settings.policy()
    keyring = server.keyring or Keyring(clock)
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(_opened_stores(settings))
        registry = Registry(
            stores.workers,
            stores.routing,
            clock,
            policy,
            watcher_backlog=settings.watcher_backlog,
            bound_to=keyring.bound_to,
        )
        keys_job = await stack.enter_async_context(_mounted_keys(server, stores.keys, clock, registry.tenant_of))
        keyring.on_ended(registry.key_ended)
        await registry.open()
        footing = database_footing(settings.database_url, stores.database, clock)
        standing = OwnStanding("registry", clock, lambda: [footing], traces=traces_go(settings.trace_file))
        servicer = RegistryServicer(registry, policy, settings.router_addresses, standing)
        add_RegistryServiceServicer_to_server(servicer, server.server)
        server.serve([SERVICE], registry.stop_watches)

        async def job() -> None:
            await together(registry.run, keys_job)

        try:
            with readable(partial(meters.read, registry)):
                yield job
        finally:
            await _close(registry.close)


def run() -> None:
    """Be the Registry's process."""
    answer("registry", "Knows which workers of a mesh are alive, and which keys are valid.", Settings)
    whole(partial(run_service, "registry", Settings, mounted))


@asynccontextmanager
async def _mounted_keys(
    server: MeshServer, store: KeyStore, clock: Clock, tenant_of: Callable[[str], str | None]
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
    keys = None if server.keyring is None else Keys(store, server.keyring, clock, tenant_of=tenant_of)
    add_AccessServiceServicer_to_server(AccessServicer(keys, clock), server.server)
    server.serve([ACCESS], None if keys is None else keys.stop_watches)
    if keys is None:
        yield _nothing
        return
    await keys.open()
    try:
        yield keys.run
    finally:
        await _close(keys.close)


async def _nothing() -> None:
    """The job of a mesh that asks for no keys."""


@dataclass(frozen=True, slots=True)
class _Stores:
    workers: WorkerStore
    routing: RoutingStore
    keys: KeyStore
    database: Database | None = None


@asynccontextmanager
async def _opened_stores(settings: Settings) -> AsyncIterator[_Stores]:
    url = settings.database_url
    if url == "memory":
        yield _Stores(MemoryWorkerStore(), MemoryRoutingStore(), MemoryKeyStore())
        return
    database = await open_database(url, MIGRATIONS, may_migrate=settings.migrate_at_start)
    try:
        yield _Stores(SqlWorkerStore(database), SqlRoutingStore(database), SqlKeyStore(database), database)
    finally:
        await database.close()


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    try:
        await close()
    except Unavailable as error:
        # Beats of the last second; the next start gives everyone a fresh grace anyway.
        _log.warning("last flush failed", error=error.message)
