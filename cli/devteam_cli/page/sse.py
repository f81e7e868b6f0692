"""Server-sent events: messages that a server writes one after the other, for as long as a browser listens."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.types import Receive, Scope, Send

# Proxies close what is silent for long; those that are set tightly do so after 30 s.
_BEAT_SECONDS = 15.0

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


def message(event: str, data: object) -> bytes:
    """One event with its JSON."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), compact(data))


def compact(data: object) -> bytes:
    """JSON on one line."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class EventStream:
    """An answer that goes on until `messages` end, the browser leaves, or `ending` is set because the server stops.

    It says "beat" every now and then, so that neither a proxy nor the page takes it for dead. `source` is what the
    messages are made of, if that is open by now; it is closed with them, also where nobody asked for one.
    """

    def __init__(
        self,
        messages: AsyncGenerator[bytes, None],
        ending: asyncio.Event,
        *,
        source: AsyncGenerator[object, None] | None = None,
        beat_seconds: float = _BEAT_SECONDS,
    ) -> None:
        self._messages = messages
        self._ending = ending
        self._source = source
        self._beat_seconds = beat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] != "HEAD":
                await self._go_on(receive, send)
        finally:
            await self._close()
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _close(self) -> None:
        await self._messages.aclose()
        # A generator that never began closes nothing.
        if self._source is not None:
            await self._source.aclose()

    async def _go_on(self, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._pass_on(send)),
                group.create_task(self._beat(send)),
                group.create_task(_left(receive)),
                group.create_task(self._ended()),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _pass_on(self, send: Send) -> None:
        async for message in self._messages:
            await send({"type": "http.response.body", "body": message, "more_body": True})

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            await send({"type": "http.response.body", "body": message("beat", {}), "more_body": True})

    async def _ended(self) -> None:
        await self._ending.wait()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
