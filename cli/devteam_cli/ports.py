"""Free TCP ports of this machine."""

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from random import SystemRandom

from devteam.mesh.errors import FailedPrecondition

_HOST = "127.0.0.1"
# Below those that systems give to outgoing connections: one of these may take a port between its choice and its use,
# or while its server is away.
_RANGE = range(10_000, 32_000)
# What this process has chosen lately, so that no other one that chooses a port now takes the same: open files, which
# end with it.
_chosen: deque[int] = deque()
_LATELY = 64


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody listens there, else one that nobody listens at, nor is about to."""
    port = preferred or SystemRandom().choice(_RANGE)
    while not (_is_free(port) and _is_ours(port)):
        port = SystemRandom().choice(_RANGE)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((_HOST, port))
            return True
    return False


def _is_ours(port: int) -> bool:
    """Claim it among the programs that choose by this function, by a name that goes when its program ends, however.

    Where the system knows no such names, chance has to do.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0devteam-port-{port}")
    except OSError as error:
        claim.close()
        return error.errno != errno.EADDRINUSE
    _chosen.append(claim.detach())
    if len(_chosen) > _LATELY:
        os.close(_chosen.popleft())
    return True


def refuse_taken(what: str, host: str, port: int, option: str = "") -> None:
    """Raise FailedPrecondition, which names the option, where somebody listens at the port that `what` is to have.

    Somebody else's server there would answer for one of ours that could not start.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise FailedPrecondition(
                f"cannot start {what} on {host}:{port}: {(error.strerror or str(error)).lower()}; "
                f"stop what uses the port or choose another{f' with {option}' if option else ''}",
                reason="PORT_TAKEN",
            ) from None
