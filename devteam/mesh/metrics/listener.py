"""A web server with one page, /metrics. In threads of its own: a busy event loop is what it has to tell of."""

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.metrics.provider import CONTENT_TYPE, exposition

_log = structlog.get_logger()

# Seconds for somebody who connects to say what he wants, and between two looks whether the server shall end.
_PATIENCE = 10.0
_LOOK_EVERY = 0.1


@asynccontextmanager
async def metrics_served(host: str, port: int) -> AsyncIterator[int]:
    """Serve /metrics while the block runs; yields the port, a free one for 0.

    Raises FailedPrecondition when nobody can listen there.
    """
    server = _listening(host, port)
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_EVERY,), name="metrics", daemon=True)
    thread.start()
    _log.info("metrics served", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


def _listening(host: str, port: int) -> ThreadingHTTPServer:
    kind = _V6Server if ":" in host else _Server
    try:
        return kind((host.strip("[]"), port), _Metrics)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "the port is taken; stop what uses it or choose another port" if taken else error.strerror
        raise FailedPrecondition(
            f"cannot serve metrics on {host}:{port}: {why}", reason="PORT_TAKEN" if taken else "CANNOT_LISTEN"
        ) from None


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        """Without asking the network for this machine's name, which may take its time."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who asked has hung up."""


class _V6Server(_Server):
    address_family = socket.AF_INET6


class _Metrics(BaseHTTPRequestHandler):
    timeout = _PATIENCE

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/metrics":
            self._answer(200, CONTENT_TYPE, exposition())
        else:
            self._answer(404, "text/plain; charset=utf-8", b"metrics are at /metrics\n")

    def _answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: every scrape would be a line."""
