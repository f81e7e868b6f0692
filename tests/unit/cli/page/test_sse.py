"""Streams of events, as a server passes them on."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from devteam_cli.page.sse import EventStream, message


async def test_a_stream_that_has_nothing_to_tell_beats() -> None:
    told = asyncio.Event()
    sent: list[bytes] = []

    async def messages() -> AsyncGenerator[bytes, None]:
        yield message("begin", {})
        await told.wait()
        yield message("end", {})

    async def send(part: Any) -> None:
        sent.append(part.get("body", b""))
        if sent.count(message("beat", {})) == 3:
            told.set()

    async def stays() -> Any:
        await asyncio.get_running_loop().create_future()

    stream = EventStream(messages(), asyncio.Event(), beat_seconds=0.001)
    async with asyncio.timeout(10):
        await stream({"type": "http", "method": "GET"}, stays, send)
    words = [part for part in sent if part]
    assert words[0] == message("begin", {})
    assert words[1:4] == [message("beat", {})] * 3
    assert message("end", {}) in words
