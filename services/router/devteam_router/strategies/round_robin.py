"""In turn."""

from devteam_router.domain import Signature, StrategyName
from devteam_router.stations import Kind
from devteam_router.strategies.base import Rank, Weighed


class RoundRobin:
    """Whoever was given something longest ago within the queue is next; newcomers come first.

    An order by last turn, not a position in a list: it stays fair as workers come and go.
    """

    name = StrategyName.ROUND_ROBIN
    in_turn = True

    def rank(self, signature: Signature, kind: Kind) -> Rank:
        """All are equal."""
        return ()

    def merits(self, signature: Signature, kind: Kind) -> str:
        """Nothing but the turn."""
        return ""

    def because(self, signature: Signature, queue: str, chosen: Weighed, eligible: int) -> str:
        """Name the rotation."""
        return f"it was its turn among {eligible} in {queue}"
