"""What becomes of the attempts that a worker has no more."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from devteam.mesh.clock import Clock
from devteam_router.attempts import Attempts
from devteam_router.dispatch import Dispatch, Stage
from devteam_router.domain import AttemptId, WorkerInstance
from devteam_router.frames import RejectReason
from devteam_router.leases import Lease, Leases
from devteam_router.matching import Matcher
from devteam_router.peers import Peers
from devteam_router.refusals import Refusals


class Losses:
    """Gives attempts up, or to another worker where nothing of them has begun."""

    def __init__(
        self, attempts: Attempts, leases: Leases, matcher: Matcher, refusals: Refusals, peers: Peers, clock: Clock
    ) -> None:
        self._attempts = attempts
        self._leases = leases
        self._matcher = matcher
        self._refusals = refusals
        self._peers = peers
        self._clock = clock

    def lost(self, leases: Sequence[Lease], message: str, *, has_none: bool) -> None:
        """Whoever had these is gone with them, as `message` says; `has_none`: and does surely not run any of them."""
        # What was never accepted may start elsewhere if its worker surely has none of it: an attempt starts only once.
        for lease in leases:
            dispatch = self._attempts.get(lease.id)
            if dispatch is None or dispatch.stage is Stage.ENDED:
                self._attempts.free(lease.id)
            elif dispatch.stage is Stage.ASSIGNED and has_none:
                self.elsewhere(dispatch)
            else:
                self._attempts.lose(dispatch, message)

    def all_but(self, worker: WorkerInstance, in_hand: AbstractSet[AttemptId]) -> None:
        """A worker came back, and has these in hand of all that it was given."""
        missing = [lease for lease in self._leases.held_by(worker) if lease.id not in in_hand]
        for lease in missing:
            dispatch = self._attempts.get(lease.id)
            if dispatch is not None and self._is_elsewhere(dispatch):
                self._attempts.hand_over(dispatch)
        self.lost(missing, f"worker {worker.worker_id} came back without it", has_none=True)

    def elsewhere(
        self, dispatch: Dispatch, refused_by: str | None = None, reason: RejectReason = RejectReason.NOT_SERVED
    ) -> None:
        """Find another worker for what has not begun; `refused_by` is left alone with its like for a while."""
        assert dispatch.run is not None
        run = dispatch.run
        dispatch.stage, dispatch.worker = Stage.WAITING, None
        lease = self._leases.release(run.id)
        if refused_by is not None and lease is not None:
            self._refusals.note(refused_by, lease.queue, run.signature, reason)
        if dispatch.cancel_requested:
            self._attempts.never_ran(dispatch, "cancelled before it started", cancelled=True)
            return
        if dispatch.place_until is not None and dispatch.place_until <= self._clock.monotonic():
            self._attempts.out_of_time(dispatch)
            return
        # Where there are other Routers, what nobody follows may be in another one's line by now.
        if dispatch.followed or not self._peers.addresses:
            self._matcher.submit(run, first=True)

    def _is_elsewhere(self, dispatch: Dispatch) -> bool:
        """Whether another Router may well have it, with the Planner that has left."""
        running = dispatch.stage is Stage.RUNNING and not dispatch.followed
        return running and bool(self._peers.addresses)
