"""A clock on which nobody has to wait."""

import asyncio

from tests.fakes.clock import FakeClock


class HastyClock(FakeClock):
    """Sleeping moves the clock instead of waiting for it; `slept` has every pause in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)
