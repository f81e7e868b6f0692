"""A port whose every connection belongs to somebody from the moment it is accepted.

asyncio's own servers forget one that comes in the turn in which they close (Python 3.11), and it is found open later,
by whichever test runs then.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Listener:
    """Serves connections on loopback while it is open, each in a task of its own."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._socket: socket.socket | None = None
        self._served: set[asyncio.Task[None]] = set()

    def open(self, port: int = 0) -> int:
        """Listen on `port`, or any; returns it."""
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Let nobody else in; those who were stay."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def cut(self) -> None:
        """Let nobody else in, and end those who were."""
        self.close()
        for task in self._served:
            task.cancel()
        while self._served:
            await asyncio.gather(*self._served, return_exceptions=True)

    async def served(self) -> None:
        """Wait until nobody is connected. Raises what serving one of them raised."""
        while self._served:
            await asyncio.gather(*self._served)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listening.accept()
            connection.setblocking(False)
            self._keep(connection)

    def _keep(self, connection: socket.socket) -> None:
        def ended(task: "asyncio.Task[None]") -> None:
            self._served.discard(task)
            # What is cancelled before its first step closes nothing by itself.
            connection.close()

        task = asyncio.create_task(self._one(connection))
        self._served.add(task)
        task.add_done_callback(ended)

    async def _one(self, connection: socket.socket) -> None:
        try:
            reader, writer = await _joined(connection, self._context)
        except OSError:  # as of a client that does not trust the certificate
            return
        async with closing(writer):
            await self._serve(reader, writer)


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close it after the block once all is written, or at once where the block does not come to its end."""
    try:
        yield
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    finally:
        writer.transport.abort()


async def _joined(connection: socket.socket, context: ssl.SSLContext | None) -> Ends:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
