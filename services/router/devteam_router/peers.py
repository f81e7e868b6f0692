"""The other Routers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from devteam_router.gates import Gates

# Words that wait to be passed on; beyond them the oldest are dropped.
_MOST_UNTOLD = 1_000


@dataclass(frozen=True, slots=True)
class ThrottleWord:
    """What the other Routers shall hear of a model; `seconds` from now."""

    model: str
    seconds: float
    reason: str


class Peers:
    """Where the other Routers are, and what they have yet to hear. What concerns the fleet is shared among all."""

    def __init__(self, router_id: str, gates: Gates) -> None:
        self._router_id = router_id
        self._gates = gates
        self.addresses: tuple[str, ...] = ()
        self._untold: dict[str, ThrottleWord] = {}
        self._news = asyncio.Event()

    def are(self, addresses: Mapping[str, str]) -> None:
        """These Routers are alive, this one among them."""
        self.addresses = tuple(sorted(address for other, address in addresses.items() if other != self._router_id))
        self._gates.routers = len(self.addresses) + 1

    def tell(self, word: ThrottleWord) -> None:
        """Pass a word on to all of them, soon."""
        if self.addresses:
            self._untold[word.model] = word
            if len(self._untold) > _MOST_UNTOLD:
                del self._untold[next(iter(self._untold))]
            self._news.set()

    async def next(self) -> ThrottleWord:
        """The next word to pass on, once there is one."""
        while not self._untold:
            self._news.clear()
            await self._news.wait()
        return self._untold.pop(next(iter(self._untold)))
