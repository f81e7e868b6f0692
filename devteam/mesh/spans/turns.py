"""Whose turn it is to have spans written."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from devteam.mesh.access.buckets import Allowance, Bucket
from devteam.mesh.access.rates import RATE_LIMITED
from devteam.mesh.access.recent import Recent
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.errors import ResourceExhausted

# Requests of at most 4 MiB each; more senders than that wait for the disk at once only when it stands still.
MOST_WAITING = 16
_AGAIN_AFTER = 5.0
_ANY = Allowance(0, 0)


class Turns:
    """One at a time, as the threads belong to the databases too, in the order in which they came.

    A caller by whose `subject` limits are counted has half of the places to wait at most, and no turn while it has sent
    more than it is allowed to; the one that takes it there is let through, however large.
    """

    def __init__(self, clock: Clock | None = None, allowance: Allowance = _ANY) -> None:
        self._allowance = allowance
        self._buckets: Recent[str, Bucket] = Recent(partial(Bucket, clock or SystemClock()))
        self._turn = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, subject: str, cost: Callable[[], float]) -> AsyncIterator[None]:
        """The block is the turn; `cost` says what it takes of the allowance. Raises ResourceExhausted."""
        if self._waiting.total() >= MOST_WAITING or (subject and self._waiting[subject] >= MOST_WAITING // 2):
            raise ResourceExhausted(
                "too many batches of spans wait for the disk; send this one again later", retry_after=_AGAIN_AFTER
            )
        if subject and self._allowance.per_second:
            self._charge(subject, cost)
        self._waiting[subject] += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= Counter((subject,))

    def _charge(self, subject: str, cost: Callable[[], float]) -> None:
        bucket, allowed = self._buckets.of(subject), self._allowance
        if wait := bucket.owe(0, allowed):
            raise ResourceExhausted(
                f"too many spans: {subject} may send {allowed.per_second:g} a second, {allowed.burst:g} at once, and "
                f"each KiB of them counts as one; send these again in {wait:.1f} s",
                reason=RATE_LIMITED,
                retry_after=wait,
                metadata={"subject": subject, "rate": "spans"},
            )
        bucket.owe(cost(), allowed)
