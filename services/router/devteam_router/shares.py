"""Fairness between tenants that wait in the same queue."""

from collections.abc import Callable
from functools import partial

# Tenants that wait for nothing are remembered while they are ahead of the others, and no more than so many.
_REMEMBERED = 1_000
# Queues that nobody waits in are forgotten beyond so many, or beyond as many as somebody waits in.
_QUEUES = 1_000


class Shares:
    """How much of a queue each tenant has had, in runs over its weight: whoever has had least is next.

    Start-time fairness: a tenant that comes anew begins where the queue is, so that it neither waits for what others
    had before it came nor is owed anything for the time that it was away. `weight` tells what a tenant's share is.
    """

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        self._had: dict[str, float] = {}
        self._now = 0.0
        # Tenants that wait.
        self.competing = 0

    def had(self, tenant: str) -> float:
        """How much a tenant has had. Never falls while it waits."""
        return self._had.get(tenant, self._now)

    def enter(self, tenant: str) -> None:
        """A tenant that waited for nothing waits now."""
        self.competing += 1
        self._had[tenant] = max(self.had(tenant), self._now)

    def serve(self, tenant: str) -> None:
        """One of the runs of a tenant that waits is placed."""
        had = self._had[tenant]
        self._now = max(self._now, had)
        self._had[tenant] = had + 1 / self._weight(tenant)

    def leave(self, tenant: str) -> None:
        """It waits for nothing any longer."""
        self.competing -= 1
        if len(self._had) > _REMEMBERED or self._had[tenant] <= self._now:
            del self._had[tenant]


class Fairness:
    """The shares of each queue; `weight` tells what a tenant's is in a queue."""

    def __init__(self, weight: Callable[[str, str], float] = lambda _queue, _tenant: 1.0) -> None:
        self._weight = weight
        self._queues: dict[str, Shares] = {}
        self._enough = _QUEUES

    def of(self, queue: str) -> Shares:
        """The shares of a queue."""
        shares = self._queues.get(queue)
        if shares is None:
            shares = self._queues[queue] = Shares(partial(self._weight, queue))
            if len(self._queues) > self._enough:
                self._forget_all_but(queue)
        return shares

    def direct(self, queue: str, tenant: str) -> None:
        """A run of a tenant was placed without having waited."""
        shares = self.of(queue)
        shares.enter(tenant)
        shares.serve(tenant)
        shares.leave(tenant)

    def _forget_all_but(self, queue: str) -> None:
        self._queues = {name: kept for name, kept in self._queues.items() if kept.competing or name == queue}
        # Twice what is left: else, with many that are waited in, each new one would go through all of them.
        self._enough = max(_QUEUES, 2 * len(self._queues))
