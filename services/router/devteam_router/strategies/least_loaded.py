"""The one with the most room."""

from devteam_router.domain import Signature, StrategyName
from devteam_router.stations import Kind
from devteam_router.strategies.base import Rank, Weighed


class LeastLoaded:
    """The lowest share of taken slots once it has the run, so that a large worker counts for more than a small one."""

    name = StrategyName.LEAST_LOADED
    in_turn = False

    def rank(self, signature: Signature, kind: Kind) -> Rank:
        """All are equal: their load decides."""
        return ()

    def merits(self, signature: Signature, kind: Kind) -> str:
        """How much its slots count."""
        weight = kind.worker.weight
        return "" if weight == 1 else f"weight {weight:g}"

    def because(self, signature: Signature, queue: str, chosen: Weighed, eligible: int) -> str:
        """Name the load."""
        return f"it was the least loaded of {eligible} ({chosen.active}/{chosen.kind.concurrency})"
