"""What a strategy is."""

from dataclasses import dataclass
from typing import Protocol

from devteam_router.domain import Signature, StrategyName
from devteam_router.stations import Kind

# Compared number by number; lower is better.
Rank = tuple[float, ...]


@dataclass(slots=True)
class Weighed:
    """A kind of workers as it was at a decision: its best worker's runs, and how many it stands for.

    Of the chosen kind those that were as good, of the others those that had a free slot.
    """

    kind: Kind
    active: int
    score: float
    alike: int


class Strategy(Protocol):
    """Puts kinds of workers in an order for a run. Within a rank the least loaded worker is taken, or the next in turn.

    Everything that a rank is made of belongs to the kind, so that ranks need not be looked at with every decision.
    """

    name: StrategyName
    # Whether workers of a rank take turns.
    in_turn: bool

    def rank(self, signature: Signature, kind: Kind) -> Rank:
        """How well a kind suits, whoever is busy."""

    def merits(self, signature: Signature, kind: Kind) -> str:
        """What the rank is made of, in words; empty when all kinds are equal."""

    def because(self, signature: Signature, queue: str, chosen: Weighed, eligible: int) -> str:
        """Why it was chosen out of so many, as the end of the sentence "placed on W because ..."."""
