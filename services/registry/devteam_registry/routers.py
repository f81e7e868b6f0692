"""Routers that watch the fleet: alive while they do. What they said of streams holds only while they are there."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from devteam.mesh.address import target_of
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes
from devteam_registry.domain import Change, Router, RouterList

# Seconds for a Router whose watch ended to watch again; a new process of it has a new id, and speaks for itself.
ROUTER_GRACE = 15.0
# Seconds that it stays listed meanwhile: a watch that breaks must not make workers hang up on a Router that is well.
LISTED_GRACE = 5.0


class Routers:
    """Who watches now, and who has stopped to. Every change of the list is published in the same step that makes it."""

    def __init__(self, awake: AwakeTime, changes: Changes[Change]) -> None:
        self._awake = awake
        self._changes = changes
        self._watches: Counter[str] = Counter()
        # When the last watch of a Router ended, in awake seconds.
        self._left: dict[str, float] = {}
        self._addresses: Mapping[str, str] = {}

    @property
    def listed(self) -> RouterList:
        """Those that are alive and have an address, in the order of their ids."""
        return RouterList(tuple(Router(*known) for known in sorted(self._addresses.items())))

    @property
    def present(self) -> int:
        """How many watch now, those without an address among them."""
        return len(self._watches)

    @contextmanager
    def watching(self, router: Router) -> Iterator[None]:
        """It watches for as long as the block runs; an empty id is nobody."""
        if not router.router_id:
            yield
            return
        self._came(router)
        try:
            yield
        finally:
            self._went(router.router_id)

    def heard(self, router_id: str) -> None:
        """It spoke of streams: that holds only if it watches, or does so within the grace."""
        if router_id not in self._watches:
            self._left.setdefault(router_id, self._awake.now())

    def sweep(self) -> list[str]:
        """Take those off the list that left a while ago; to be called at every tick.

        Returns those that have not come back within the grace, each named once.
        """
        self._list(self._without(*self._absent(LISTED_GRACE)))
        gone = self._absent(ROUTER_GRACE)
        for router_id in gone:
            del self._left[router_id]
        return gone

    def _came(self, router: Router) -> None:
        self._watches[router.router_id] += 1
        self._left.pop(router.router_id, None)
        # Whoever left that address behind was the process before this one, and will not come back.
        replaced = [left for left in self._left if self._addresses.get(left) == router.address]
        self._left.update(dict.fromkeys(replaced, -math.inf))
        here = {router.router_id: router.address} if router.address else {}
        self._list({**self._without(router.router_id, *replaced), **here})

    def _went(self, router_id: str) -> None:
        self._watches[router_id] -= 1
        if not self._watches[router_id]:
            del self._watches[router_id]
            self._left[router_id] = self._awake.now()

    def _absent(self, seconds: float) -> list[str]:
        now = self._awake.now()
        return [router_id for router_id, left in self._left.items() if now - left >= seconds]

    def _without(self, *router_ids: str) -> Mapping[str, str]:
        return {name: address for name, address in self._addresses.items() if name not in router_ids}

    def _list(self, addresses: Mapping[str, str]) -> None:
        if addresses != self._addresses:
            self._addresses = addresses
            self._changes.publish(self.listed)


def reachable_at(configured: Sequence[str], listed: RouterList) -> tuple[str, ...]:
    """Every address to connect to, those that are set first; two ways to write one address count once.

    Raises InvalidInput for a URL that names no host.
    """
    by_target: dict[tuple[str, bool], str] = {}
    for address in (*configured, *(router.address for router in listed.routers)):
        by_target.setdefault(target_of(address), address)
    return tuple(by_target.values())
