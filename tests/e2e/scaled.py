"""Workers as Kubernetes runs them: so many replicas, each a process, those that are too many told by SIGTERM."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.programs import BIN, Mesh, Program, environment


class Deployment:
    """Replicas that serve one queue. `scale` waits for nothing, as Kubernetes does not."""

    def __init__(self, mesh: Mesh, queue: str, slots: int, stack: ExitStack) -> None:
        self._mesh = mesh
        self._queue = queue
        self._slots = slots
        self._stack = stack
        self._replicas: list[Program] = []
        self.leaving: list[Program] = []
        self.log = mesh.logs / f"{queue}.log"

    @property
    def replicas(self) -> int:
        """How many are not leaving."""
        return len(self._replicas)

    def scale(self, replicas: int) -> None:
        """Start what is missing; tell the youngest to end where there are too many."""
        while self.replicas < replicas:
            self._replicas.append(self._started())
        while self.replicas > replicas:
            worker = self._replicas.pop()
            worker.signal_end()
            self.leaving.append(worker)

    def drained(self) -> list[int]:
        """How many runs each that is leaving had in hand when it was told."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line)["running"] for line in lines if re.search(r'"event": ?"draining"', line)]

    def _started(self) -> Program:
        started = self.replicas + len(self.leaving)
        command = (str(BIN / "devteam-worker"), "start", "--provider", "sim", "--id", f"{self._queue}-{started}")
        env = environment(
            DEVTEAM_API_URL=self._mesh.url,
            DEVTEAM_QUEUE=self._queue,
            DEVTEAM_CONCURRENCY=str(self._slots),
            DEVTEAM_DATA=str(_folder(self._mesh.logs / f"{self._queue}-{started}")),
        )
        return self._stack.enter_context(Program(*command, log=self.log, env=env))


@contextmanager
def deployment(mesh: Mesh, queue: str, slots: int) -> Iterator[Deployment]:
    """No replica at first; what is left of them is killed when the block ends."""
    with ExitStack() as stack:
        yield Deployment(mesh, queue, slots, stack)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
