"""Time as the Registry lived it: while its own loop stalls nobody can be heard, so nobody grows silent."""

from devteam.mesh.clock import Clock

# Seconds that a tick may be late before the rest counts as a stall.
_FORGIVEN = 2.0


class AwakeTime:
    """Seconds that the loop was awake, told by ticks that are expected `every` so many seconds.

    Leaving a stall out of the time shifts every worker's deadlines by that stall at once.
    """

    def __init__(self, clock: Clock, every: float) -> None:
        self._clock = clock
        self._longest_gap = every + _FORGIVEN
        self._ticked_at = clock.monotonic()
        self._awake_at_tick = 0.0

    def now(self) -> float:
        """Seconds awake so far; never goes back, and stands still when no tick comes."""
        return self._awake_at_tick + min(self._clock.monotonic() - self._ticked_at, self._longest_gap)

    def tick(self) -> float:
        """Note that the loop is alive. Returns the seconds that it was stalled, 0 as a rule."""
        monotonic = self._clock.monotonic()
        gap = monotonic - self._ticked_at
        self._awake_at_tick += min(gap, self._longest_gap)
        self._ticked_at = monotonic
        return max(0.0, gap - self._longest_gap)
