"""One service as a process of its own."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from devteam_cli.ports import free_port
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.programs import Program, environment

_QUICK_REDIAL = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))

# Nobody listens there. At the usual ports somebody may, whose mesh a test must not work for.
_NOBODY = "127.0.0.1:1"
_ALONE = {
    "registry": {"database_url": "memory"},
    "router": {"registry_address": f"http://{_NOBODY}"},
    "planner": {"database_url": "memory", "router_address": f"http://{_NOBODY}", "temporal_address": _NOBODY},
}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers."""

    program: Program
    port: int
    channel: grpc.aio.Channel

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def service(name: str, folder: Path, *, port: int = 0, **settings: str) -> AsyncIterator[Service]:
    """`python -m devteam_NAME`, answering when the block begins, and killed when it ends if it still runs.

    `settings` are its variables without their prefix.
    """
    port = port or free_port()
    with Program(
        *(sys.executable, "-m", f"devteam_{name}"), log=folder / f"{name}.log", env=variables(name, port, **settings)
    ) as program:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", _QUICK_REDIAL) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60)
            yield Service(program, port, channel)


def variables(name: str, port: int, **settings: str) -> dict[str, str]:
    """The environment of a service; it stores nothing unless told where, and reaches nobody unless told whom."""
    told = {"port": str(port), **_ALONE[name], **settings}
    return environment(**{f"DEVTEAM_{name}_{key}".upper(): value for key, value in told.items()})
