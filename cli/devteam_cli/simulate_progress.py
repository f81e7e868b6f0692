"""Word of a simulation that takes long."""

import time
from collections.abc import Callable

from devteam_cli.stderr import say

# Seconds between two words; what is over sooner needs none.
_EVERY = 2.0


class Told:
    """Says on stderr how far a simulation is, every two seconds, and at the end how fast it was."""

    def __init__(self, strategy: str, hours: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._strategy = strategy
        self._hours = hours
        self._clock = clock
        self._began = self._last = clock()

    def __call__(self, seconds: float, placed: int) -> None:
        """So much of the scenario is over."""
        now = self._clock()
        if now - self._last >= _EVERY:
            self._last = now
            say(f"{self._strategy}: hour {seconds / 3600:.1f} of {self._hours:g}, {placed:,} placed", dim=True)

    def done(self, placed: int) -> None:
        """It is over."""
        took = self._clock() - self._began
        say(
            f"{self._strategy}: {placed:,} decisions in {took:.1f} s, {placed / max(took, 1e-9):,.0f} a second",
            dim=True,
        )
