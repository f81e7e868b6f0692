"""A port that leads to a server, until a test cuts the line, swallows what goes over it, or slows it down."""

import asyncio

from devteam_cli.ports import free_port

from tests.fakes.listener import Listener, closing


class Relay:
    """Forwards connections to `host`:`port` while it is open. `delay` is the seconds that every piece is held back.

    With `idle`, a line over which nothing went for so many seconds is ended, as by a proxy.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay = 0.0
        self.idle: float | None = None
        self._target = (host, port)
        self._listener = Listener(self._forward)
        self._flowing = asyncio.Event()
        self._flowing.set()

    def open(self, port: int = 0) -> int:
        """Listen on `port`, or any; returns it."""
        return self._listener.open(port or free_port())

    async def cut(self) -> None:
        """Refuse connections, and end those there are."""
        await self._listener.cut()

    def swallow(self) -> None:
        """Be a black hole: connections stay, nothing comes through, and nobody is told."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self._flowing.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            return
        async with closing(back):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

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
