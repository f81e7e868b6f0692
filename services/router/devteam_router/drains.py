"""Workers that operators drain."""

from devteam.mesh.clock import Clock
from devteam_router.domain import Availability, Worker
from devteam_router.frames import Drain, DrainReason


class Drains:
    """What to tell workers that are to drain, as the Registry last said."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # When what still runs is to be handed back, on the monotonic clock; None: as the worker's own settings say.
        self._deadlines: dict[str, float | None] = {}

    def hear(self, worker_id: str, told: Worker | None) -> None:
        """Take in what the Registry says of a worker; None: it knows it no longer."""
        if told is None or told.availability is not Availability.DRAINING:
            self._deadlines.pop(worker_id, None)
        else:
            rest = told.drain_within
            self._deadlines[worker_id] = None if rest is None else self._clock.monotonic() + rest

    def word_for(self, worker_id: str) -> Drain | None:
        """What to tell a worker, with the rest of its time as of now; None: nothing, it does not drain."""
        if worker_id not in self._deadlines:
            return None
        deadline = self._deadlines[worker_id]
        rest = None if deadline is None else max(0.0, deadline - self._clock.monotonic())
        return Drain(DrainReason.WORKER, rest)
