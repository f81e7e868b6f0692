"""Several streams as one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from devteam.mesh.tasks import cancelled

_Item = TypeVar("_Item")


async def merged(*streams: AsyncGenerator[_Item, None]) -> AsyncGenerator[_Item, None]:
    """The items of all streams as they come; each waits until its last item was taken.

    Ends when one of them does. Raises what one of them raises, as soon as it does.
    """
    line: asyncio.Queue[_Item | Exception | None] = asyncio.Queue(1)
    reading = [asyncio.create_task(_read(stream, line)) for stream in streams]
    try:
        while (item := await line.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        for task in reading:
            await cancelled(task)


async def _read(stream: AsyncGenerator[_Item, None], line: "asyncio.Queue[_Item | Exception | None]") -> None:
    try:
        async with aclosing(stream) as items:
            async for item in items:
                await line.put(item)
        await line.put(None)
    except Exception as error:  # noqa: BLE001 - whoever reads the line raises it; unsaid, he would wait for ever
        await line.put(error)
