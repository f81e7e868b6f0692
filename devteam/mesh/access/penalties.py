"""Whoever tries keys is made to wait."""

from dataclasses import dataclass

from devteam.mesh.access.recent import MOST, Recent
from devteam.mesh.clock import Clock
from devteam.mesh.errors import ResourceExhausted

# Tries that are forgiven, in how many seconds; and for how many no further one is looked into.
_FORGIVEN, _WINDOW, _PENALTY = 5, 60.0, 60.0


@dataclass(slots=True)
class _Tries:
    count: int = 0
    since: float = float("-inf")
    until: float = float("-inf")


class Penalties:
    """Invalid keys, by the address that they came from. Valid ones never get here: many share an address."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._tries: Recent[str, _Tries] = Recent(_Tries, most)

    def failed(self, address: str) -> None:
        """An invalid key came from `address`. Raises ResourceExhausted when there were too many lately."""
        now, tries = self._clock.monotonic(), self._tries.of(address)
        if now - tries.since >= _WINDOW:
            tries.count, tries.since = 0, now
        tries.count += 1
        if tries.count > _FORGIVEN and now >= tries.until:
            tries.until = now + _PENALTY
        if now < tries.until:
            raise ResourceExhausted(
                "too many invalid API keys came from this address; a valid one is let in at any time",
                reason="AUTH_PENALTY",
                retry_after=_PENALTY,
                metadata={"subject": f"address {address}"},
            )
