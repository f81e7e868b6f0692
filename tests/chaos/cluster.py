"""Every part of a mesh as a process of its own, to be killed, paused and started again at the same address."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Self

import grpc
from devteam_cli.temporal_server import _binary, _command
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chaos.journal import Journal
from tests.e2e.programs import REPOSITORY, Program, environment
from tests.fakes.relay import Relay

SERVICES = {
    "temporal": "temporal.api.workflowservice.v1.WorkflowService",
    "registry": "devteam.v1.RegistryService",
    "router": "devteam.v1.RouterService",
    "planner": "devteam.v1.PlannerService",
}
_PATIENCE = 60.0
_TRIES = 5


class Cluster:
    """Temporal, registry, router, planner, and as many agents as are started. All is killed when the block ends.

    The Planner's `database` is given as SQLAlchemy's URL, `env` is added to the environment of every process. Workers
    reach the Router over `relay` only.
    """

    def __init__(self, folder: Path, journal: Journal, database: str, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._journal = journal
        self._ports = dict(zip([*SERVICES, "relay"], _free_ports(len(SERVICES) + 1), strict=True))
        self._env = environment(**self._settings(database), **env)
        self.relay = Relay("127.0.0.1", self._ports["router"])
        self._programs: dict[str, Program] = {}
        self._agents: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> Self:
        await self.relay.open(self._ports["relay"])
        await self.start("temporal")
        await asyncio.gather(*(self.start(name) for name in ("registry", "router", "planner")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs.values():
            program.kill()
        await self.relay.cut()

    def address(self, name: str) -> str:
        """Where a service listens, as host and port."""
        return f"127.0.0.1:{self._ports[name]}"

    async def start(self, name: str) -> float:
        """Start a service; returns the moment at which it answered that it serves."""
        # Temporal looks for further free ports and takes them later: whoever comes between makes it panic.
        for _ in range(_TRIES):
            self._programs[name] = Program(*self._service(name), log=self._folder / f"{name}.log", env=self._env)
            if await self._serving(name):
                break
        else:
            raise AssertionError(f"{name} does not start: see {self._folder / name}.log")
        return float(self._journal.note("up", target=name)["at"])

    async def agent(self, worker_id: str, queue: str, slots: int = 4) -> None:
        """Start a worker, the same one again if it was here before; returns once it is ready for work."""
        self._agents[worker_id] = queue, slots
        command = (sys.executable, "-m", "tests.chaos.agent", worker_id, queue, str(slots), str(self._journal.mailbox))
        program = Program(*command, log=self._folder / "agents.log", env=self._env)
        self._programs[worker_id] = program
        await asyncio.to_thread(program.line, "^Worker .* registered")
        self._journal.note("up", target=worker_id)

    async def again(self, name: str) -> float:
        """Start whatever has this name."""
        if name in SERVICES:
            return await self.start(name)
        await self.agent(name, *self._agents[name])
        return time.monotonic()

    def kill(self, *names: str) -> float:
        """End them at once, all at the same moment; returns which."""
        at = float(self._journal.note("fault", kind="kill", targets=names)["at"])
        for name in names:
            self._signal(name, signal.SIGKILL)
        for name in names:
            self._programs[name].kill()
        return at

    async def terminate(self, name: str) -> int:
        """Ask it to stop; returns its exit code."""
        return await asyncio.to_thread(self._programs[name].stop)

    async def ended(self, name: str) -> int:
        """Wait until it has ended by itself; returns its exit code."""
        return await asyncio.to_thread(self._programs[name].wait)

    async def relay_again(self) -> None:
        """Let workers reach the Router again, after the relay was cut."""
        await self.relay.open(self._ports["relay"])

    def pause(self, name: str) -> float:
        """Let it stand still."""
        at = float(self._journal.note("fault", kind="pause", targets=[name])["at"])
        self._signal(name, signal.SIGSTOP)
        return at

    def resume(self, name: str) -> float:
        """Let it go on as if nothing had been."""
        # Noted first: what it does then is later than that, however soon it does it.
        at = float(self._journal.note("fault", kind="resume", targets=[name])["at"])
        self._signal(name, signal.SIGCONT)
        return at

    @property
    def names(self) -> list[str]:
        """All that runs."""
        return list(self._programs)

    def _signal(self, name: str, number: signal.Signals) -> None:
        os.killpg(self._programs[name].pid, number)

    def _service(self, name: str) -> list[str]:
        if name == "temporal":
            return _command(_binary(), self._folder, self._ports[name], None)
        return [sys.executable, "-m", f"devteam_{name}"]

    async def _serving(self, name: str) -> bool:
        """Wait until it says that it serves; False when it ends instead."""
        request = health_pb2.HealthCheckRequest(service=SERVICES[name])
        async with asyncio.timeout(_PATIENCE):
            while self._programs[name].running:
                with suppress(grpc.aio.AioRpcError):
                    async with grpc.aio.insecure_channel(self.address(name)) as channel:
                        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
                        if answer.status == health_pb2.HealthCheckResponse.SERVING:
                            return True
                await asyncio.sleep(0.02)
        self._programs[name].kill()
        return False

    def _settings(self, database: str) -> dict[str, str]:
        url = {name: f"http://{self.address(name)}" for name in SERVICES}
        ports = {f"DEVTEAM_{name.upper()}_PORT": str(self._ports[name]) for name in ("registry", "router", "planner")}
        return {
            **ports,
            "DEVTEAM_REGISTRY_DATABASE_URL": f"sqlite:///{self._folder}/registry.db",
            "DEVTEAM_REGISTRY_ROUTER_ADDRESSES": f'["{self.address("relay")}"]',
            "DEVTEAM_ROUTER_REGISTRY_ADDRESS": url["registry"],
            "DEVTEAM_PLANNER_DATABASE_URL": database,
            "DEVTEAM_PLANNER_ROUTER_ADDRESS": url["router"],
            "DEVTEAM_PLANNER_TEMPORAL_ADDRESS": self.address("temporal"),
            "DEVTEAM_API_URL": url["registry"],
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        }


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, all different, and none that the system gives to outgoing connections."""
    ports: list[int] = []
    while len(ports) < count:
        port = SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports
