"""A handler's surroundings: the agent that calls it, and somebody who hears what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam_worker.domain import Completed
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.handlers import Handler, HandlerAgent
from devteam_worker.providers.base import Token

WELL = Completed("handler", "sim", "end")


class Listener:
    """Hears what a handler says, once `gate` is open."""

    def __init__(self) -> None:
        self.heard: list[Token] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, token: Token) -> None:
        self.heard.append(token)
        self.arrived.set()
        await self.gate.wait()


@asynccontextmanager
async def taking(handler: Handler, errors: list[Exception] | None = None) -> AsyncIterator[HandlerAgent]:
    loop = OwnersLoop()
    loop.start()
    try:
        yield HandlerAgent(handler, loop, (errors if errors is not None else []).append)
    finally:
        loop.stop()
