"""The one with the most room."""

from collections.abc import Sequence

from devteam_router.domain import Candidate, Signature, StrategyName


class LeastLoaded:
    """The lowest share of taken slots, so that a large worker counts for more than a small one."""

    name = StrategyName.LEAST_LOADED

    def score(self, signature: Signature, candidate: Candidate) -> tuple[float, ...]:
        """The share of slots that are taken; among equals the larger worker."""
        return candidate.load, -candidate.capacity

    def picked(self, signature: Signature, candidate: Candidate) -> None:
        """Nothing to remember: load is read from the leases."""

    def explain(self, signature: Signature, chosen: Candidate, candidates: Sequence[Candidate]) -> str:
        """Name the load."""
        return f"it was the least loaded of {len(candidates)} ({chosen.active}/{chosen.capacity})"
