"""Three machines made of network namespaces: a server, a worker, and between them a box that alone sees both."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.programs import PATIENCE, REPOSITORY, Program, environment

SERVER, BOX_OUTSIDE, BOX_INSIDE, WORKER = "10.91.1.1", "10.91.1.2", "10.91.2.1", "10.91.2.2"
PORT = 7400


@dataclass(frozen=True)
class Host:
    """One of them, by the name of its namespace; `env` is what its commands know."""

    name: str
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, *command: str) -> tuple[str, ...]:
        """A command as it runs there."""
        return ("ip", "netns", "exec", self.name, *command)

    def ran(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """One command there, to its end."""
        return subprocess.run(
            self.command(*command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(**self.env),
            check=False,
        )

    def said(self, *command: str) -> str:
        """What a command says that has to end well."""
        done = self.ran(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def program(self, *command: str) -> Program:
        """A command that goes on."""
        log = self.folder / f"{Path(command[0]).name}.log"
        return Program(*self.command(*command), log=log, env=environment(**self.env), folder=REPOSITORY)


@dataclass(frozen=True)
class Hosts:
    """All three; the line between worker and box can be cut."""

    server: Host
    box: Host
    worker: Host

    def cut(self) -> None:
        """Pull the worker's plug."""
        _ip("-n", self.worker.name, "link", "set", "w0", "down")

    def heal(self) -> None:
        """Put it back."""
        _ip("-n", self.worker.name, "link", "set", "w0", "up")
        _ip("-n", self.worker.name, "route", "replace", "default", "via", BOX_INSIDE)


@contextmanager
def three_hosts(folder: Path) -> Iterator[Hosts]:
    """Make them; gone when the block ends. Skips the test where that takes rights that it does not have."""
    names = [f"devteam-{os.getpid()}-{which}" for which in ("server", "box", "worker")]
    with ExitStack() as stack:
        for name in names:
            _skip_without(subprocess.run(("ip", "netns", "add", name), capture_output=True, text=True, check=False))
            stack.callback(_ip, "netns", "del", name)
        server, box, worker = names
        _skip_without(_line(server, "s0", box, "b0"))
        _skip_without(_line(worker, "w0", box, "b1"))
        for name, device, address in (
            (server, "s0", SERVER),
            (box, "b0", BOX_OUTSIDE),
            (box, "b1", BOX_INSIDE),
            (worker, "w0", WORKER),
        ):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            for up in ("lo", device):
                _ip("-n", name, "link", "set", up, "up")
        # Both send everything to the box, and it passes nothing on.
        _ip("-n", server, "route", "add", "default", "via", BOX_OUTSIDE)
        _ip("-n", worker, "route", "add", "default", "via", BOX_INSIDE)
        for name in names:
            (folder / name).mkdir()
        data = {"DEVTEAM_DATA": str(folder / server / "data")}
        yield Hosts(
            Host(server, folder / server, data),
            Host(box, folder / box),
            Host(worker, folder / worker, {"DEVTEAM_DATA": str(folder / worker / "data")}),
        )


def forwarding(hosts: Hosts) -> Program:
    """The box's one open port: whoever calls it from inside, reaches the server."""
    return hosts.box.program(
        *(sys.executable, "-m", "tests.e2e.nat_box", BOX_INSIDE, str(PORT), SERVER, str(PORT)),
    )


def _line(one: str, device: str, other: str, other_device: str) -> "subprocess.CompletedProcess[str]":
    command = ("ip", "link", "add", device, "netns", one, "type", "veth", "peer", "name", other_device, "netns", other)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _skip_without(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        pytest.skip(f"no network namespaces for this user on this machine: {done.stderr.strip()}")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)
