"""Routers that watch the fleet: what one of them said of streams holds only while it is there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from devteam_registry.awake import AwakeTime

# Seconds for a Router whose watch ended to watch again; a new process of it has a new id, and speaks for itself.
ROUTER_GRACE = 15.0


class Routers:
    """Who watches now, and who has stopped to."""

    def __init__(self, awake: AwakeTime) -> None:
        self._awake = awake
        self._watches: Counter[str] = Counter()
        # When the last watch of a Router ended, in awake seconds.
        self._left: dict[str, float] = {}

    @contextmanager
    def watching(self, router_id: str) -> Iterator[None]:
        """It watches for as long as the block runs; an empty id is nobody."""
        if not router_id:
            yield
            return
        self._watches[router_id] += 1
        self._left.pop(router_id, None)
        try:
            yield
        finally:
            self._watches[router_id] -= 1
            if not self._watches[router_id]:
                del self._watches[router_id]
                self._left[router_id] = self._awake.now()

    def gone(self) -> list[str]:
        """Those that have not come back within the grace, each named once."""
        now = self._awake.now()
        gone = [router_id for router_id, left in self._left.items() if now - left >= ROUTER_GRACE]
        for router_id in gone:
            del self._left[router_id]
        return gone
