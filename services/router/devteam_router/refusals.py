"""Workers that refused a run."""

from devteam.mesh.clock import Clock
from devteam_router.domain import Signature
from devteam_router.fleet import Fleet
from devteam_router.frames import RejectReason
from devteam_router.matching import Matcher


class Refusals:
    """Leaves workers alone for `rest` seconds: for runs like the one that was refused, or for all.

    One that is busy has said before how many of its slots others take. Mostly that is all there is to know, and it need
    not rest.
    """

    def __init__(self, fleet: Fleet, matcher: Matcher, clock: Clock, rest: float) -> None:
        self._fleet = fleet
        self._matcher = matcher
        self._clock = clock
        self._rest = rest

    def note(self, worker_id: str, queue: str, signature: Signature, reason: RejectReason) -> None:
        """A worker refused a run out of that queue; the slot is free again by now."""
        if reason is RejectReason.NOT_SERVED:
            self._matcher.refused(signature, worker_id)
            self._clock.call_later(self._rest, lambda: self._matcher.forgive(signature, worker_id))
        elif reason is RejectReason.DRAINING or self._fleet.looks_free(worker_id, queue):
            self._fleet.rest(worker_id, resting=True)
            self._clock.call_later(self._rest, lambda: self.over(worker_id))

    def over(self, worker_id: str) -> None:
        """Ask it again for whatever there is."""
        self._fleet.rest(worker_id, resting=False)
        self._matcher.worker_changed(worker_id)
