"""In turn."""

import itertools
from collections.abc import Sequence

from devteam_router.domain import Candidate, Signature, StrategyName


class RoundRobin:
    """Whoever was picked longest ago within the queue is next; newcomers come first.

    An order by last turn, not a position in a list: it stays fair as workers come and go.
    """

    name = StrategyName.ROUND_ROBIN

    def __init__(self) -> None:
        self._turns = itertools.count(1)
        self._last_turn: dict[tuple[str, str], int] = {}

    def score(self, signature: Signature, candidate: Candidate) -> tuple[float, ...]:
        """The number of the worker's last turn in this queue."""
        return (self._last_turn.get((candidate.queue, candidate.worker.id), 0),)

    def picked(self, signature: Signature, candidate: Candidate) -> None:
        """Move the worker to the end of the queue's rotation."""
        self._last_turn[candidate.queue, candidate.worker.id] = next(self._turns)

    def explain(self, signature: Signature, chosen: Candidate, candidates: Sequence[Candidate]) -> str:
        """Name the rotation."""
        return f"it was its turn among {len(candidates)} in {chosen.queue}"
