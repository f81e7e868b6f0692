"""No unary call runs for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.mesh.errors import DeadlineExceeded
from devteam.mesh.interceptors.call import Call, Layer


def deadline_layer(seconds: float) -> Layer:
    """Stop a unary call after its own deadline or after `seconds`, whichever comes first. Streams have no limit."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        if call.streaming:
            yield
            return
        remaining = call.context.time_remaining()
        limit = seconds if remaining is None else min(seconds, remaining)
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError:
            raise DeadlineExceeded(f"not done after {limit:.1f} s; try again with the same request_id") from None

    return layer
