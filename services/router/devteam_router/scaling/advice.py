"""How much of a queue there is to do, over all Routers: for whoever starts and stops its workers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam_router.scaling.demand import Demand

# Seconds between two words about a queue: each makes whoever hears it look at all workers.
_PAUSE = 1.0
# Seconds after which the other Routers are asked again, who say nothing by themselves.
_ASK_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """What workers are started for: a queue, of which one of them runs `slots_per_worker` at a time.

    `local`: as this Router alone knows it.
    """

    queue: str
    slots_per_worker: int = 1
    local: bool = False


class Elsewhere(Protocol):
    """The other Routers."""

    @property
    def alone(self) -> bool:
        """Whether there are none."""

    async def demands(self, queue: str) -> Sequence[int | None]:
        """Slots that each of them wants for a queue; None of one that does not answer."""


class Advice:
    """Adds up what the Routers want. What cannot be known is not taken for nothing: workers would be stopped for it."""

    def __init__(self, demand: Demand, elsewhere: Elsewhere, clock: Clock) -> None:
        self._demand = demand
        self._elsewhere = elsewhere
        self._clock = clock

    async def slots(self, trigger: Trigger) -> int:
        """Slots that are wanted now. Raises Unavailable when another Router does not answer."""
        there = [] if trigger.local else await self._elsewhere.demands(trigger.queue)
        known = [slots for slots in there if slots is not None]
        if len(known) < len(there):
            raise _unknown(trigger.queue)
        return self._demand.of(trigger.queue) + sum(known)

    async def is_active(self, queue: str) -> bool:
        """Whether any slot is wanted. Raises Unavailable when only a Router could know that does not answer."""
        if self._demand.of(queue):
            return True
        there = await self._elsewhere.demands(queue)
        if not any(there) and None in there:
            raise _unknown(queue)
        return any(there)

    async def activity(self, queue: str) -> AsyncGenerator[bool, None]:
        """Whether any slot is wanted: now, and whenever that changes."""
        said: bool | None = None
        with self._demand.watched() as news:
            while True:
                news.clear()
                active = await self._if_known(queue)
                if active not in {None, said}:
                    said = active
                    yield bool(active)
                    await self._clock.sleep(_PAUSE)
                await self._change(queue, news)

    async def _if_known(self, queue: str) -> bool | None:
        try:
            return await self.is_active(queue)
        except Unavailable:
            return None

    async def _change(self, queue: str, news: asyncio.Event) -> None:
        if self._demand.of(queue) or self._elsewhere.alone:
            await news.wait()
            return
        timer = self._clock.call_later(_ASK_AGAIN, news.set)
        try:
            await news.wait()
        finally:
            timer.cancel()


def _unknown(queue: str) -> Unavailable:
    return Unavailable(
        f"another router does not answer, so that the demand in {queue} is not known; ask again",
        reason="ROUTER_UNREACHABLE",
        retry_after=_ASK_AGAIN,
    )
