"""How often each key may call."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from devteam.mesh.access.buckets import Allowance, Bucket
from devteam.mesh.access.recent import Recent
from devteam.mesh.access.rules import Rate
from devteam.mesh.clock import Clock
from devteam.mesh.errors import ResourceExhausted

RATE_LIMITED: Final = "RATE_LIMITED"


class Rates:
    """A bucket for each key, or address, and each rate that has an allowance."""

    def __init__(self, clock: Clock, allowances: Mapping[Rate, Allowance]) -> None:
        self._allowances = dict(allowances)
        self._buckets: Recent[tuple[str, Rate], Bucket] = Recent(partial(Bucket, clock))

    def charge(self, subject: str, rate: Rate, own: float = 0.0) -> None:
        """Count one call; `own` is how many creates a second are the subject's own, 0: as all others.

        Raises ResourceExhausted when it was one too many.
        """
        allowance = self._allowances.get(rate)
        if allowance is None:
            return
        if rate is Rate.CREATE:
            allowance = allowance.at_rate(own)
        wait = self._buckets.of((subject, rate)).take(allowance)
        if wait:
            raise ResourceExhausted(
                f"too many calls: {subject} may make {allowance.per_second:g} a second of this kind, "
                f"{allowance.burst:g} at once; try again in {wait:.1f} s",
                reason=RATE_LIMITED,
                retry_after=wait,
                metadata={"subject": subject, "rate": rate},
            )
