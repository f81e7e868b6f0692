"""A machine with a worker on it: real processes, and a mesh that a test plays."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from devteam.v1 import run_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh

# Each process takes a second or two to come up, and the machine may be busy.
PATIENCE = 100.0

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("DEVTEAM_", "OTEL_", "OLLAMA_"))}


class Machine:
    """A machine with a folder for its workers, and a mesh that they know."""

    def __init__(self, mesh: ScriptedMesh, folder: Path) -> None:
        self.mesh = mesh
        self.folder = folder
        self.state = folder / "workers" / "w1.json"

    @asynccontextmanager
    async def worker(
        self, *arguments: str, level: str = "ERROR", provider: str = "sim", **environ: str
    ) -> AsyncIterator[Process]:
        """Worker w1; killed when the block ends if it still runs. Without a provider it has that of its settings."""
        told = ("--provider", provider) if provider else ()
        process = await self._spawn("start", *told, "--id", "w1", *arguments, DEVTEAM_LOG_LEVEL=level, **environ)
        try:
            async with asyncio.timeout(PATIENCE):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def command(self, *arguments: str, **environ: str) -> tuple[int | None, str, str]:
        """A command to its end: exit code, stdout, stderr."""
        process = await self._spawn(*arguments, **environ)
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode, out.decode(), err.decode()

    async def is_ready(self) -> Line:
        """The stream of a worker whose file says that it is ready."""
        # Not the mesh's own patience: a process has to come up first.
        line = await self.mesh.router._lines.get()
        line.attached()
        await self.says(phase="ready")
        return line

    async def says(self, **words: object) -> None:
        """Wait until the worker's file says this."""
        while not words.items() <= self.said().items():  # noqa: ASYNC110 - another process's file rings no bell
            await asyncio.sleep(0.01)

    def said(self) -> dict[str, object]:
        """What the worker's file says; nothing if there is none."""
        said: dict[str, object] = json.loads(self.state.read_text()) if self.state.exists() else {}
        return said

    async def _spawn(self, *arguments: str, **environ: str) -> Process:
        told = {"DEVTEAM_LOG_LEVEL": "ERROR", "DEVTEAM_DATA": str(self.folder), "DEVTEAM_API_URL": self.mesh.url}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devteam_worker", *arguments),
            env={**ENVIRON, **told, **environ},
            stdout=PIPE,
            stderr=PIPE,
        )


async def report_of(line: Line) -> run_pb2.Report:
    """The worker's next report; what its model says is left out."""
    while (request := await line.hears()).WhichOneof("item") != "report":
        pass
    return request.report
