"""A port that does what a test says to whoever connects."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Its number; it goes once everyone who connected was served, and leaves nothing open."""
    calls: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def connected(*ends: Any) -> None:
        calls.append(asyncio.create_task(one(*ends)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
        server.close()
        # Whoever was let in a moment ago is a call of the next turn.
        await asyncio.sleep(0.05)
        while pending := [call for call in calls if not call.done()]:
            await asyncio.gather(*pending)
