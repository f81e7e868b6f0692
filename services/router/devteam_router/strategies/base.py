"""What a strategy is."""

from collections.abc import Sequence
from typing import Protocol

from devteam_router.domain import Candidate, Signature, StrategyName


class Strategy(Protocol):
    """Orders workers for a run. All candidates could run it; the lowest score wins, ties are broken at random."""

    name: StrategyName

    def score(self, signature: Signature, candidate: Candidate) -> tuple[float, ...]:
        """How well a candidate suits; lower is better, the first number decides before the second."""

    def picked(self, signature: Signature, candidate: Candidate) -> None:
        """Learn that this candidate was chosen."""

    def explain(self, signature: Signature, chosen: Candidate, candidates: Sequence[Candidate]) -> str:
        """Why it was chosen, as the end of the sentence "placed on W because ..."."""
