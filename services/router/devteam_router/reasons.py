"""Why a run is not with a worker, in words."""

from devteam_router.domain import Signature, Wait, WaitReason
from devteam_router.fleet import Fleet
from devteam_router.routing import Routing
from devteam_router.stations import FITTING

# In the order of the filters: the furthest that any worker came tells what is missing.
_FILTERS = (
    WaitReason.NO_WORKER_IN_QUEUE,
    WaitReason.NO_WORKER_SERVES_MODEL,
    WaitReason.NO_WORKER_MEETS_REQUIREMENTS,
    WaitReason.NO_WORKER_AVAILABLE,
    WaitReason.ALL_SLOTS_BUSY,
)


class Reasons:
    """Finds out what keeps runs of a signature waiting, from the profiles of the workers that there are."""

    def __init__(self, fleet: Fleet, routing: Routing) -> None:
        self._fleet = fleet
        self._routing = routing

    def of(self, signature: Signature) -> Wait:
        """Why no worker has them now."""
        open_queues = [queue for queue in signature.queues if not self._routing.paused(queue)]
        if not open_queues:
            queues = " and ".join(signature.queues)
            detail = f"{queues} is paused; resume it with: devteam queue resume {signature.queues[0]}"
            return Wait(WaitReason.QUEUE_PAUSED, detail)
        reason = _FILTERS[max(self._furthest(queue, signature) for queue in open_queues)]
        return Wait(reason, _sentence(reason, signature))

    def _furthest(self, queue: str, signature: Signature) -> int:
        """How many filters somebody in a queue has passed."""
        furthest = 0
        for kind, _ in self._fleet.rows(queue).entries:
            if kind.stations:
                verdict = kind.profile.verdict(queue, signature)
                furthest = max(furthest, verdict + (verdict == FITTING and kind.profile.open > 0))
            if furthest > FITTING:
                break  # nobody comes further than that
        return furthest


def _sentence(reason: WaitReason, signature: Signature) -> str:
    queues = " or ".join(signature.queues)
    match reason:
        case WaitReason.NO_WORKER_IN_QUEUE:
            return f"no worker serves {queues}; start one with: devteam-worker start --queue {signature.queues[0]}"
        case WaitReason.NO_WORKER_SERVES_MODEL:
            return f"no worker in {queues} serves the model {signature.model}"
        case WaitReason.NO_WORKER_MEETS_REQUIREMENTS:
            return f"no worker in {queues} that serves {signature.model} has what the task requires"
        case WaitReason.NO_WORKER_AVAILABLE:
            return f"every worker in {queues} that could run it is unhealthy, cordoned, draining or disconnected"
        case _:
            return f"every worker in {queues} that could run it is busy; it starts when a slot is free"
