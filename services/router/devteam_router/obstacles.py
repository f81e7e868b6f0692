"""What stands between a run and the workers that are free."""

from dataclasses import replace
from datetime import timedelta

from devteam.mesh.clock import Clock
from devteam_router.choices import Choice
from devteam_router.domain import Signature, Wait, WaitReason
from devteam_router.fleet import Fleet
from devteam_router.gates import Closed, Gates, Nearness
from devteam_router.placing import Placer
from devteam_router.routing import Routing
from devteam_router.seats import Seat


class Obstacles:
    """Asks gates and distances before a worker is given out."""

    def __init__(self, fleet: Fleet, placer: Placer, gates: Gates, routing: Routing, clock: Clock) -> None:
        self._fleet = fleet
        self._placer = placer
        self._gates = gates
        self._routing = routing
        self._clock = clock

    def find(self, signature: Signature, since: float) -> Choice | Closed | None:
        """The best worker for a run that waits since then, in the first of its queues that has one.

        Or what keeps it from a worker that is free; None: nobody is free.
        """
        closed = self._gates.model(signature.model)
        if closed is not None:
            return closed
        for queue in signature.queues:
            if self._routing.paused(queue):
                continue
            gate = self._limit(signature, queue)
            choice = None if gate else self._placer.choose(signature, queue)
            if choice is not None and not choice.far:
                return choice
            if choice is not None:
                gate = self._too_far(signature, queue, since)
                if gate is None:
                    return choice
            closed = closed or gate
        return closed

    def between(self, signature: Signature, seat: Seat, since: float) -> Closed | None:
        """What keeps a run from this very worker, which is free and fits; None: nothing."""
        queue, model = seat.row.queue, signature.model
        closed = self._gates.model(model) or self._limit(signature, queue)
        if closed is not None or not signature.near_data_source:
            return closed
        field = self._placer.field(signature, queue)
        return self._too_far(signature, queue, since) if field.is_far(seat.row) else None

    def _limit(self, signature: Signature, queue: str) -> Closed | None:
        closed = self._gates.queue(queue, signature.model)
        if closed is not None and len(signature.queues) == 1:
            return replace(closed, everywhere=True)
        return closed

    def _too_far(self, signature: Signature, queue: str, since: float) -> Closed | None:
        opens_at = since + self._routing.locality_wait(queue)
        rest = opens_at - self._clock.monotonic()
        if rest <= 0:
            return None
        source = signature.near_data_source
        detail = f"a worker nearer to {source} may be free soon; any other one will do after that"
        wait = Wait(WaitReason.WAITING_FOR_LOCALITY, detail, self._clock.now() + timedelta(seconds=rest))
        return Closed(Nearness(signature, queue, since), wait, opens_at)
