"""Workers that run beside a mesh on this machine, as processes of their own."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from devteam.mesh.errors import FailedPrecondition, Unavailable
from devteam.mesh.tasks import background
from devteam.mesh.tls import CA_FILE
from devteam_cli.children import child, lines, stop
from devteam_cli.data_folder import DataFolder

# A local worker hands back what it cannot finish so soon; the next start goes on with it.
_DRAIN_SECONDS = 2.0
_STOP_TIMEOUT = 15.0
_START_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker to run beside the mesh."""

    id: str
    queues: Sequence[str]
    concurrency: int = 4
    arguments: Sequence[str] = ()


@dataclass(slots=True)
class LocalWorkers:
    """The workers of the mesh at `url`; `ca` is whom they trust there, None: whom the machine trusts."""

    workers: Sequence[LocalWorker]
    url: str
    ca: Path | None
    data: DataFolder
    progress: Callable[[str], None]
    _processes: list[Process] = field(default_factory=list, init=False)

    async def start(self, stack: AsyncExitStack, keys: Mapping[str, str]) -> None:
        """Start them: they dial until somebody answers. `keys`, by worker, are shown; else what the environment says.

        They are killed at the latest when `stack` unwinds.
        """
        for worker in self.workers:
            env = _environment(self.ca, keys.get(worker.id, ""))
            running = child(self._command(worker), self.data.log_of(worker.id), env=env, stop_timeout=_STOP_TIMEOUT)
            self._processes.append(await stack.enter_async_context(running))

    def stop_before(self, stack: AsyncExitStack) -> None:
        """Stop them before what is on `stack` by now: a worker that stops has something to say to the services."""
        for process in self._processes:
            stack.push_async_callback(stop, process, _STOP_TIMEOUT)

    async def registered(self) -> list[str]:
        """Wait until they are ready for work; what they said until then. Raises FailedPrecondition and Unavailable."""
        logs = [self.data.log_of(worker.id) for worker in self.workers]
        return await asyncio.gather(*map(_registered, self._processes, logs))

    async def watch(self, stack: AsyncExitStack) -> None:
        """Say so when one ends before the mesh does: the mesh goes on, and others can do its work."""
        for worker, process in zip(self.workers, self._processes, strict=True):
            await stack.enter_async_context(background(partial(self._missed, worker, process)))

    async def _missed(self, worker: LocalWorker, process: Process) -> None:
        code = await process.wait()
        queues = "".join(f" --queue {queue}" for queue in worker.queues)
        self.progress(
            f"worker {worker.id} ended with code {code}, see {self.data.log_of(worker.id)}; "
            f"start another: devteam-worker start --api-url {self.url}{queues}"
        )

    def _command(self, worker: LocalWorker) -> list[str]:
        queues = [argument for queue in worker.queues for argument in ("--queue", queue)]
        return [
            *(sys.executable, "-m", "devteam_worker", "start", "--of-mesh"),
            *("--id", worker.id, *queues, "--concurrency", str(worker.concurrency)),
            *("--api-url", self.url, "--trace-file", str(self.data.traces)),
            *("--drain-deadline", str(_DRAIN_SECONDS), "--data", str(self.data.path)),
            *worker.arguments,
        ]


async def _registered(process: Process, log: Path) -> str:
    """What a worker said until it was ready for work."""
    words: list[str] = []
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            async for line in lines(process):
                if line == "Ready":
                    return "\n".join(words)
                words.append(line)
    except TimeoutError:
        raise Unavailable(f"a worker did not register within {_START_TIMEOUT:g} s; see {log}") from None
    raise FailedPrecondition(f"a worker did not start; see {log}")


def _environment(ca: Path | None, key: str) -> Mapping[str, str]:
    """The environment of this process, without what would send a local worker elsewhere; it trusts this mesh."""
    kept = {name: value for name, value in os.environ.items() if name not in {"DEVTEAM_API_URL", "DEVTEAM_QUEUE"}}
    trusts = {} if ca is None else {CA_FILE: str(ca)}
    return kept | trusts | ({"DEVTEAM_API_KEY": key} if key else {})
