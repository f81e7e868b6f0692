"""The product's commands as real processes."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]  # ships no types

PATIENCE = 100.0
# For a mesh's environment: a dead worker's task is given up after a second instead of ten.
GRACE = {"DEVTEAM_ROUTER_LINK_GRACE_S": "1"}

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]

_FOREIGN = ("DEVTEAM_", "ANTHROPIC_", "OLLAMA_", "OPENAI_", "OTEL_")
# Nobody listens there: a model server on the developer's machine must not answer for the simulated model.
_NO_OLLAMA = "127.0.0.1:1"


def environment(**more: str) -> dict[str, str]:
    """The environment of this process without what would steer the product, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "OLLAMA_HOST": _NO_OLLAMA, **more}


class Program:
    """A process whose output can be waited for.

    It leads a process group of its own; leaving the block kills what is left of that. It works in `folder`, or here.
    """

    def __init__(self, *command: str, log: Path, env: Mapping[str, str], folder: Path | None = None) -> None:
        self._log = log
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=env,
                cwd=folder,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def line(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """The next line of its output in which `pattern` is found, however many others come before."""
        give_up_at = time.monotonic() + timeout
        while True:
            try:
                said = self._lines.get(timeout=max(0, give_up_at - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line like {pattern!r} within {timeout:g} s\n{self._complaints()}") from None
            if said is None:
                raise AssertionError(f"it ended without a line like {pattern!r}\n{self._complaints()}")
            if found := re.search(pattern, said):
                return found

    def children(self) -> list[psutil.Process]:
        """All processes that descend from it."""
        return list(psutil.Process(self.pid).children(recursive=True))

    def signal_end(self) -> None:
        """Ask it to stop, and wait for nothing."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.signal_end()
        return self.wait()

    def interrupt(self) -> int:
        """Press Ctrl-C, and return its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends, and return its exit code."""
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {PATIENCE:g} s\n{self._complaints()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill its process group at once, as a power cut would; harmless once it has ended."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _complaints(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


@dataclass(slots=True)
class Mesh:
    """A `devteam up` that answers at `url` and keeps its state in `data`; programs beside it log to `logs`."""

    url: str
    data: Path
    program: Program
    logs: Path

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    @property
    def traces(self) -> Path:
        """The store of its spans."""
        return self.data / "traces.db"

    @contextmanager
    def worker(self, *options: str, **env: str) -> Iterator[Program]:
        """A worker that is registered when the block begins and stopped in good order when it ends."""
        log = self.logs / "workers.log"
        command = (str(BIN / "devteam-worker"), "start", *options)
        told = {"DEVTEAM_API_URL": self.url, "DEVTEAM_DATA": str(self.logs / "machine"), **env}
        with Program(*command, log=log, env=environment(**told)) as worker:
            worker.line("^Ready$")
            yield worker
            if worker.running:
                assert worker.stop() == 0

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One `devteam` command against this mesh, to its end."""
        return devteam(*arguments, env=environment(DEVTEAM_API_URL=self.url))

    def own(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One `devteam-worker` command on the machine of this mesh's workers, to its end."""
        return ended("devteam-worker", *arguments, env=environment(DEVTEAM_DATA=str(self.logs / "machine")))

    def watching(self, *command: str) -> Program:
        """A `devteam` command that tells events, each on a line of JSON."""
        env = environment(DEVTEAM_API_URL=self.url)
        return Program(str(BIN / "devteam"), "-o", "jsonl", *command, log=self.logs / "commands.log", env=env)

    def stop(self) -> None:
        """Stop it in good order: exit code 0, and nothing of it is left behind."""
        children = self.program.children()
        assert len(children) >= 2, "Temporal and the local worker are processes of their own"
        assert self.program.stop() == 0
        assert [child for child in children if child.is_running()] == []


@contextmanager
def up(folder: Path, *options: str, **env: str) -> Iterator[Mesh]:
    """A mesh with its state in `folder`, ready for work when the block begins, killed when it ends unless stopped."""
    data, log = folder / "data", folder / "up.log"
    command = (str(BIN / "devteam"), "up", "--data", str(data), "--port", "0", "--no-ui", *options)
    with Program(*command, log=log, env=environment(**env)) as program:
        url = program.line(r"^Ready in .*: (https?://\S+)$")[1]
        yield Mesh(url, data, program, folder)


def devteam(*arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """One `devteam` command, to its end, with nobody at a terminal."""
    return ended("devteam", *arguments, env=env)


def ended(command: str, *arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """One of the product's commands, to its end, with nobody at a terminal."""
    return subprocess.run(
        (str(BIN / command), *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=dict(env),
        check=False,
    )
