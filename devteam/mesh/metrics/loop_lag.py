"""How far an event loop is behind: the first thing to look at when everything is slow."""

from devteam.mesh.clock import Clock
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import record

_EVERY = 1.0


async def watch_loop(clock: Clock) -> None:
    """Look once a second how late a timer comes. Never returns."""
    while True:
        due = clock.monotonic() + _EVERY
        await clock.sleep(_EVERY)
        record(catalog.LOOP_LAG, max(0.0, clock.monotonic() - due))
