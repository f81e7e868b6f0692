"""A port that leads to a server, until a test cuts the line, swallows what goes over it, or slows it down."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from devteam_cli.ports import free_port


class Relay:
    """Forwards connections to `host`:`port` while it is open. `delay` is the seconds that every piece is held back.

    With `idle`, a line over which nothing went for so many seconds is ended, as by a proxy.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay = 0.0
        self.idle: float | None = None
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._copying: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self, port: int = 0) -> int:
        """Listen on `port`, or any; returns it."""
        # Known before it serves: to be given up meanwhile leaves nobody who could close it.
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", port or free_port(), start_serving=False)
        await self._server.start_serving()
        return int(self._server.sockets[0].getsockname()[1])

    async def cut(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server:
            self._server.close()
        while self._copying:
            for task in self._copying:
                task.cancel()
            await asyncio.gather(*self._copying, return_exceptions=True)

    def swallow(self) -> None:
        """Be a black hole: connections stay, nothing comes through, and nobody is told."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self._flowing.set()

    def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(self._join(reader, writer), writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        self._keep(self._copy(reader, back), back)
        self._keep(self._copy(there, writer), writer)

    def _keep(self, work: Coroutine[Any, Any, None], end: asyncio.StreamWriter) -> None:
        def ended(task: "asyncio.Task[None]") -> None:
            self._copying.discard(task)
            # What is cancelled before its first step closes nothing by itself.
            if task.cancelled():
                end.close()

        task = asyncio.create_task(work)
        self._copying.add(task)
        task.add_done_callback(ended)
        if self._server is None or not self._server.is_serving():
            task.cancel()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await self._heard(source):
                await self._flowing.wait()
                await asyncio.sleep(self.delay)
                target.write(data)
                await target.drain()
        except OSError:
            return
        finally:
            target.close()

    async def _heard(self, source: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self.idle):
            return await source.read(65_536)
