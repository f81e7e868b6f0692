"""What was chosen, and from what."""

from dataclasses import dataclass, replace

from devteam_router.seats import Row, Seat
from devteam_router.strategies.base import Strategy, Weighed

# A row with its `low` and `free` as they were.
Glimpse = tuple[Row, int, int]


@dataclass(slots=True)
class Choice:
    """A worker that a run could go to now, and what it was compared with.

    It has `active` runs, and `tied` workers of its kind were as good. `far`: others that are busy would suit better.
    One is made with every decision, so it only holds what was seen; `weighed` makes sense of it.
    """

    seat: Seat
    strategy: Strategy
    active: int
    tied: int
    glimpses: list[Glimpse]
    far: bool = False

    def weighed(self) -> list[Weighed]:
        """The kinds of workers that had a free slot, the chosen one first."""
        kinds = {row: self._weighed(row, low, free) for row, low, free in self.glimpses if free}
        chosen = kinds.pop(self.seat.row, None) or self._weighed(self.seat.row, self.active, self.tied)
        others = sorted(kinds.values(), key=lambda weighed: weighed.score)
        return [replace(chosen, active=self.active, tied=self.tied), *others]

    def _weighed(self, row: Row, low: int, free: int) -> Weighed:
        score = 0.0 if self.strategy.in_turn else (low + 1) * row.unit
        return Weighed(row.kind, low, score, free, free)
