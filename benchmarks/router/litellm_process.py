"""LiteLLM's Router, in an environment of its own: this project does not depend on it."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Pinned: 1.82.7 and 1.82.8 must never get onto a machine.
_REQUIREMENT = "litellm==1.106.2"
_ANSWERS = Path(__file__).with_name("litellm_answers.py")


def environment() -> Path:
    """Where it is installed, if it is."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "devteam-benchmarks" / _REQUIREMENT.replace("==", "-")


def installed() -> bool:
    """Whether it can be measured."""
    return (environment() / "complete").exists()


def install() -> None:
    """Make the environment, unless it is there."""
    if installed():
        return
    venv.create(environment(), clear=True, with_pip=True)
    subprocess.run([_python(), "-m", "pip", "install", "--quiet", _REQUIREMENT], check=True, stdout=sys.stderr)
    (environment() / "complete").touch()


class LiteLLM:
    """The process that has it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def decide(self, strategy: str, size: int, count: int) -> list[int]:
        """Choose one of so many deployments, so often; returns the nanoseconds that each took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(strategy, size, count, file=self._process.stdin, flush=True)
        found: list[int] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def running() -> Iterator[LiteLLM]:
    """The process, until it is needed no longer."""
    # Isolated: neither this folder nor the caller's environment shall be imported from.
    command: list[str | Path] = [_python(), "-I", _ANSWERS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield LiteLLM(process)
        finally:
            process.kill()


def _python() -> Path:
    return environment() / "bin" / "python"
