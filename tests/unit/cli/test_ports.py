"""A port that is chosen now and used a moment later."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from devteam_cli.ports import free_port, refuse_taken

from devteam.mesh.errors import FailedPrecondition

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CHOOSE = "from devteam_cli.ports import free_port; print(free_port({port}))"


def chosen_elsewhere(port: int) -> int:
    """What another program gets that would like this one."""
    command = [sys.executable, "-c", _CHOOSE.format(port=port)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_no_port_is_chosen_twice() -> None:
    chosen = [free_port() for _ in range(40)]
    assert len(set(chosen)) == len(chosen)


def test_a_port_that_somebody_listens_at_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
        with pytest.raises(FailedPrecondition, match="--port"):
            refuse_taken("it", "127.0.0.1", port, "--port")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows names of sockets without files")
def test_a_port_that_another_program_has_chosen_is_left_to_it() -> None:
    port = free_port()
    assert chosen_elsewhere(port) != port


def test_a_port_is_preferred_by_whoever_asks_first() -> None:
    port = chosen_elsewhere(0)
    assert chosen_elsewhere(port) == port, "whoever had chosen it has ended"


@pytest.mark.skipif(not _EPHEMERAL.exists(), reason="only Linux tells which ports outgoing connections get")
def test_no_outgoing_connection_takes_it() -> None:
    first = int(_EPHEMERAL.read_text().split()[0])
    if first < 32_000:
        pytest.skip(f"this machine gives outgoing connections ports from {first} on")
    assert all(free_port() < first for _ in range(40))
