"""What was chosen, and from what."""

from collections.abc import Sequence
from dataclasses import dataclass

from devteam_router.seats import Row, Seat
from devteam_router.strategies.base import Strategy, Weighed

# A row with its `low` and `free` as they were.
Glimpse = tuple[Row, int, int]


@dataclass(slots=True)
class Choice:
    """A worker that a run could go to now, and what it was compared with.

    It has `active` runs, and `tied` workers of its kind were as good. `far`: others that are busy would suit better.
    `eligible` workers had a free slot. Of what it was compared with it only holds what was seen; `weighed` makes sense
    of it.
    """

    seat: Seat
    strategy: Strategy
    active: int
    tied: int
    far: bool = False
    glimpses: Sequence[Glimpse] = ()
    eligible: int = 1

    def weighed(self) -> list[Weighed]:
        """The kinds of workers that had a free slot, the chosen one first."""
        others = [
            self._weighed(*glimpse) for glimpse in self.glimpses if glimpse[2] and glimpse[0] is not self.seat.row
        ]
        others.sort(key=lambda weighed: weighed.score)
        return [self.chosen(), *others]

    def chosen(self) -> Weighed:
        """The kind of the chosen worker."""
        return self._weighed(self.seat.row, self.active, self.tied)

    def _weighed(self, row: Row, active: int, alike: int) -> Weighed:
        return Weighed(row.kind, active, 0.0 if self.strategy.in_turn else (active + 1) * row.unit, alike)
