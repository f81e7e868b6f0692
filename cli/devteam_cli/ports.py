"""Free TCP ports of this machine."""

import socket

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
