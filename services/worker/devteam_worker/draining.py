"""How a worker comes to its end: who wants it to drain, and by when what still runs is handed back."""

import asyncio

from devteam.mesh.clock import Clock


class Draining:
    """A wish to drain, once there is one, and its deadline.

    `own_deadline`, in seconds, is that of the worker's settings. It holds where an operator gives none.
    """

    def __init__(self, clock: Clock, own_deadline: float) -> None:
        self._clock = clock
        self._own_deadline = own_deadline
        # Moments on the monotonic clock: the one that an operator gave, and the one of the worker's own settings.
        self._given: float | None = None
        self._own: float | None = None
        self._wished = asyncio.Event()
        self._changed = asyncio.Event()

    def wish(self, within: float | None = None) -> None:
        """An operator wants it, in so many seconds from now. Told twice, the shorter time counts."""
        if within is not None:
            moment = self._clock.monotonic() + within
            self._given = moment if self._given is None else min(self._given, moment)
        elif self._own is None:
            self._own = self._clock.monotonic() + self._own_deadline
        self._wished.set()
        self._changed.set()

    def stop(self) -> None:
        """The worker's process has to end: its own deadline holds, whatever an operator gave beyond that."""
        self.wish(min(self._own_deadline, self.rest) if self._wished.is_set() else self._own_deadline)

    @property
    def rest(self) -> float:
        """Seconds until what still runs is handed back; only once it is wished."""
        moment = self._own if self._given is None else self._given
        assert moment is not None
        return max(0.0, moment - self._clock.monotonic())

    async def wished(self) -> None:
        """Return once somebody wants it."""
        await self._wished.wait()

    async def expired(self) -> None:
        """Return once the deadline has passed, also where it is moved meanwhile; only once it is wished."""
        while self.rest > 0:
            self._changed.clear()
            timer = self._clock.call_later(self.rest, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                timer.cancel()
