"""All services on one server that speaks TLS and asks for keys, as strangers, tenants and workers meet them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from devteam_cli.ports import free_port
from devteam_planner import app as planner
from devteam_planner.settings import Settings as PlannerSettings
from devteam_registry import app as registry
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router import app as router
from devteam_router.settings import Settings as RouterSettings

from devteam.mesh.access.gate import gate_of
from devteam.mesh.access.key import mint
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.settings import ServiceSettings
from devteam.mesh.spans.collector import collecting
from devteam.mesh.tasks import background
from devteam.mesh.tls import TlsFiles
from devteam.v1 import access_pb2
from devteam.v1.access_pb2_grpc import AccessServiceStub
from tests.fakes.certificates import Certificates

MESH_KEY = mint("m").secret
# Where no Temporal is: plans are accepted, and wait.
_NOWHERE = "127.0.0.1:1"
_CALL_TIMEOUT = 20.0


@dataclass(slots=True)
class Secured:
    """A mesh that answers, and clients of it."""

    port: int
    server: MeshServer
    tls: TlsFiles
    folder: Path
    _stack: AsyncExitStack

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def trusting(self) -> TlsFiles:
        """What a caller needs, who shows no certificate."""
        return TlsFiles(ca=self.tls.ca)

    async def line(self, secret: str = "") -> grpc.aio.Channel:
        """A connection of somebody who shows this key, or none."""
        channel = open_channel(self.url, api_key=secret, tls=self.trusting)
        return await self._stack.enter_async_context(channel)

    async def key(self, role: str, tenant: str = "", **more: Any) -> str:
        """A new key, made by whoever holds the mesh key."""
        number = access_pb2.Role.Value(f"ROLE_{role.upper()}")
        spec = access_pb2.KeySpec(name=f"{tenant or 'any'}-{role}", role=number, tenant=tenant, **more)
        stub = AccessServiceStub(await self.line(MESH_KEY))
        return str((await stub.CreateKey(access_pb2.CreateKeyRequest(spec=spec))).secret)


@asynccontextmanager
async def secured(folder: Path, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Secured]:
    """Registry, Router, Planner and collector of spans behind the real gate; `settings` are the gate's."""
    clock, tls = clock or SystemClock(), Certificates(folder / "certs").files()
    given = {"keys": True, "mesh_key": MESH_KEY, "audit_file": folder / "audit.log", **settings}
    gate, ids, port = gate_of(ServiceSettings(**given), clock), TimeOrderedIds(clock), free_port()
    listen = Listen(port=port, tls=tls, stop_grace=0.5, call_timeout=_CALL_TIMEOUT)
    server = MeshServer(listen, ids, gate.authorizer, gate.keyring, gate.limits, gate.audit)
    inward: dict[str, Any] = {"mesh_key": MESH_KEY, "tls_ca_file": tls.ca}
    url = f"https://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        stack.enter_context(collecting(server, folder / "traces.db", gate.turns))
        jobs = [
            await stack.enter_async_context(mounted)
            for mounted in (
                registry.mounted(server, RegistrySettings(database_url="memory"), clock, ids),
                router.mounted(server, RouterSettings(registry_address=url, **inward), clock, ids),
                planner.mounted(
                    server,
                    PlannerSettings(database_url="memory", router_address=url, temporal_address=_NOWHERE, **inward),
                    clock,
                    ids,
                ),
            )
        ]
        await server.start()
        async with background(*jobs), AsyncExitStack() as lines:
            try:
                yield Secured(port, server, tls, folder, lines)
            finally:
                await server.stop()
