"""A mesh whose services are processes of their own, with TLS, keys and a mesh key, put together by hand."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam import DevTeamClient
from tests.e2e.programs import PATIENCE, Program, devteam, environment
from tests.e2e.services import variables


@dataclass(slots=True)
class Services:
    """Their addresses, who signed their certificates, and the key of an admin."""

    folder: Path
    ports: dict[str, int]
    temporal: str
    admin: str = field(default="", repr=False)
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def ca(self) -> Path:
        """The authority's file."""
        return self.folder / "certs" / "ca.pem"

    def url(self, name: str) -> str:
        """Where a service is."""
        return f"https://127.0.0.1:{self.ports[name]}"

    def client(self, name: str, key: str) -> DevTeamClient:
        """One that knows a service alone."""
        return DevTeamClient(self.url(name), api_key=key, ca_file=self.ca, timeout=PATIENCE)

    def env(self, name: str, key: str = "", **more: str) -> dict[str, str]:
        """The environment of a command for a service."""
        known = {"DEVTEAM_API_URL": self.url(name), "DEVTEAM_API_KEY": key, "DEVTEAM_CA_FILE": str(self.ca)}
        return environment(**known, DEVTEAM_DATA=str(self.folder / "nobody"), **more)

    async def start(self, stack: AsyncExitStack, name: str) -> None:
        """Start a service, and wait until it answers."""
        command = (sys.executable, "-m", f"devteam_{name}")
        env = variables(name, self.ports[name], **self._settings(name))
        self.programs[name] = stack.enter_context(Program(*command, log=self.folder / f"{name}.log", env=env))
        trusted = grpc.ssl_channel_credentials(self.ca.read_bytes())
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.ports[name]}", trusted) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60)

    def _settings(self, name: str) -> dict[str, str]:
        certs = self.folder / "certs"
        shared = {
            "tls_cert_file": str(certs / "server.pem"),
            "tls_key_file": str(certs / "server.key"),
            "tls_ca_file": str(self.ca),
            "keys": "true",
            "mesh_key_file": str(self.folder / "mesh.key"),
        }
        stored = {"database_url": f"sqlite:///{self.folder / name}.db"}
        own = {
            "registry": {**stored, "router_addresses": f'["{self.url("router")}"]'},
            "router": {"registry_address": self.url("registry"), "advertised_address": self.url("router")},
            "planner": {
                **stored,
                "router_address": self.url("router"),
                "registry_address": self.url("registry"),
                "temporal_address": self.temporal,
            },
        }
        return {**shared, **own[name]}


@asynccontextmanager
async def services(folder: Path) -> AsyncIterator[Services]:
    """All three, and what the product's own commands make for them: certificates, the mesh key, an admin's key."""
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(
            temporal_dev_server(folder, port=free_port(), ui_port=None, log=folder / "temporal.log")
        )
        ports = {name: free_port() for name in ("registry", "router", "planner")}
        mesh = Services(folder, ports, temporal.address)
        for command in (("certs", "init", str(folder / "certs")), ("keys", "mesh", "--file", str(folder / "mesh.key"))):
            made = await asyncio.to_thread(devteam, *command, env=environment())
            assert made.returncode == 0, made.stderr
        for name in ports:
            await mesh.start(stack, name)
        async with mesh.client("registry", (folder / "mesh.key").read_text().strip()) as first:
            mesh.admin = (await first.create_key("Ada", role="admin")).secret
        yield mesh
