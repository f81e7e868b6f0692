"""Every part of a mesh as a process of its own, to be killed, paused and started again at the same address."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chaos.journal import Journal
from tests.chaos.layout import SERVICES, Layout
from tests.e2e.programs import Program
from tests.fakes.relay import Relay

_PATIENCE = 60.0
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of one process: how many, and with how many slots each."""

    queue: str
    slots: int = 4
    size: int = 1

    def names(self, agent: str) -> list[str]:
        """The workers' ids, in a process of this name."""
        return [agent] if self.size == 1 else [f"{agent}.{number:02}" for number in range(self.size)]


class Cluster:
    """Temporal, registry, routers, planner, and as many agents as are started. All is killed when the block ends."""

    def __init__(self, folder: Path, journal: Journal, layout: Layout) -> None:
        self._folder = folder
        self._journal = journal
        self._layout = layout
        self.relay = Relay("127.0.0.1", layout.ports["router"])
        self._programs: dict[str, Program] = {}
        self._crews: dict[str, Crew] = {}

    async def __aenter__(self) -> Self:
        self.relay.open(self._layout.ports["relay"])
        await self.start("temporal")
        await asyncio.gather(*(self.start(name) for name in self._layout.services if name != "temporal"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs.values():
            program.kill()
        await self.relay.cut()

    def address(self, name: str) -> str:
        """Where a service listens, as host and port."""
        return self._layout.address(name)

    @property
    def routers(self) -> list[str]:
        """The names of all Routers."""
        return self._layout.routers

    async def start(self, name: str) -> float:
        """Start a service; returns the moment at which it answered that it serves."""
        # Temporal looks for further free ports and takes them later: whoever comes between makes it panic.
        for _ in range(_TRIES):
            command, env = self._layout.command(name), self._layout.env(name)
            self._programs[name] = Program(*command, log=self._folder / f"{name}.log", env=env)
            if await self._serving(name):
                break
        else:
            raise AssertionError(f"{name} does not start: see {self._folder / name}.log")
        return float(self._journal.note("up", target=name)["at"])

    async def agent(self, name: str, crew: Crew) -> None:
        """Start workers in one process, the same ones again if they were here before; returns once they are ready."""
        self._crews[name] = crew
        ids, mailbox = ",".join(crew.names(name)), str(self._journal.mailbox)
        command = (sys.executable, "-m", "tests.chaos.agent", ids, crew.queue, str(crew.slots), mailbox)
        program = Program(*command, log=self._folder / "agents.log", env=self._layout.env())
        self._programs[name] = program
        for _ in range(crew.size):
            await asyncio.to_thread(program.line, "^Worker .* registered")
        self._journal.note("up", target=name)

    async def again(self, name: str) -> float:
        """Start whatever has this name."""
        if name in self._layout.services:
            return await self.start(name)
        await self.agent(name, self._crews[name])
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
        """Let the first Router be reached over the relay again, after that was cut."""
        self.relay.open(self._layout.ports["relay"])

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

    async def _serving(self, name: str) -> bool:
        """Wait until it says that it serves; False when it ends instead."""
        request = health_pb2.HealthCheckRequest(service=SERVICES[self._layout.services[name]])
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
