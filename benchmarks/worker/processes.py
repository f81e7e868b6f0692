"""Processes that are measured from outside."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types

from tests.e2e.programs import Program, environment


class Usage:
    """What a process has used since it was looked at first."""

    def __init__(self, program: Program) -> None:
        self._process = psutil.Process(program.pid)
        self._begun = self._cpu()

    @property
    def cpu(self) -> float:
        """Seconds of CPU, its own and the system's for it."""
        return self._cpu() - self._begun

    @property
    def memory(self) -> int:
        """Bytes that are resident now."""
        return int(self._process.memory_info().rss)

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def module(name: str, *arguments: str) -> Iterator[Program]:
    """`python -m NAME`, killed at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        env = environment(DEVTEAM_DATA=folder)
        with Program(sys.executable, "-m", name, *arguments, log=path / "log", env=env) as program:
            yield program


def sim_worker(url: str, *, slots: int) -> AbstractContextManager[Program]:
    """The worker as users start it, with the simulated model."""
    return module(
        *("devteam_worker", "start", "--provider", "sim", "--api-url", url, "--id", "bench"),
        *("--queue", "default", "--concurrency", str(slots), "--log-level", "ERROR"),
    )


def bare_stream(port: int) -> AbstractContextManager[Program]:
    """A stream with nothing behind it, to compare with."""
    return module("benchmarks.worker.bare_stream", str(port))


def stamping_worker(url: str, kind: str) -> AbstractContextManager[Program]:
    """A worker whose tokens say when they were made, by a "provider" or by a "handler"."""
    return module("benchmarks.worker.stamping_worker", url, kind)
