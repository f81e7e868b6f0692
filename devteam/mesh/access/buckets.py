"""Token buckets: so much a second on average, and a burst of so much at once."""

from dataclasses import dataclass

from devteam.mesh.clock import Clock

# Nobody is told to wait longer, in seconds; and nobody shall be early, by a clock that counts in milliseconds.
_LONGEST = 30.0
_MARGIN = 0.005


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much may be had: a second, on average, and at once. 0 a second: as much as anyone wants."""

    per_second: float
    burst: float

    def at_rate(self, per_second: float) -> "Allowance":
        """The same at another rate: the burst grows and shrinks with it, down to one."""
        if per_second <= 0 or self.per_second <= 0:
            return self
        return Allowance(per_second, max(1.0, self.burst * per_second / self.per_second))


class Bucket:
    """What one caller may have, full at first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._content: float | None = None
        self._filled_at = 0.0
        self._promised = 0.0

    def take(self, allowance: Allowance) -> float:
        """Take one: 0.0. Or, where there is none, the seconds after which to come back.

        Each who is sent away gets a moment of its own, so that a crowd does not come back as one.
        """
        if allowance.per_second <= 0:
            return 0.0
        now, content = self._fill(allowance)
        if content >= 1:
            self._content = content - 1
            return 0.0
        step = 1 / allowance.per_second
        earliest = now + (1 - content) * step
        self._promised = min(max(self._promised + step, earliest), max(now + _LONGEST, earliest))
        return self._promised - now + _MARGIN

    def owe(self, amount: float, allowance: Allowance) -> float:
        """Take `amount`, also where there is less; returns the seconds until that much has come in."""
        if allowance.per_second <= 0:
            return 0.0
        _, content = self._fill(allowance)
        self._content = content - amount
        return max(0.0, -self._content / allowance.per_second)

    def _fill(self, allowance: Allowance) -> tuple[float, float]:
        now = self._clock.monotonic()
        before = allowance.burst if self._content is None else self._content
        self._content = min(allowance.burst, before + (now - self._filled_at) * allowance.per_second)
        self._filled_at = now
        return now, self._content
