"""Free TCP ports of this machine."""

import socket

from devteam.mesh.errors import FailedPrecondition

_HOST = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody listens there, else one that nobody listens at."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, preferred))
        except OSError:
            return free_port()
        port: int = probe.getsockname()[1]
        return port


def refuse_taken(what: str, host: str, port: int, option: str) -> None:
    """Raise FailedPrecondition, which names the option, where somebody listens at the port that `what` is to have."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise FailedPrecondition(
                f"cannot start {what} on {host}:{port}: {(error.strerror or str(error)).lower()}; "
                f"stop what uses the port or choose another with {option}",
                reason="PORT_TAKEN",
            ) from None
