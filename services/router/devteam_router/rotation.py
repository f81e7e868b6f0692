"""Workers of one kind in turn."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devteam_router.seats import Seat

# The turn of a seat that does not wait with those who are back.
NEVER = -1
# Places in the line that may be out of date before they are thrown out.
_STALE = 64


class Rotation:
    """Seats by turn.

    Whoever had its turn goes to the end of a line: nobody has to be sorted in. Of the places that a seat has there
    (`queued`) only the last one counts. Whoever is full when it comes to the front leaves the line; once it has a free
    slot, it waits with those who are `back`, by the turn that it had.
    """

    def __init__(self, seats: Iterable["Seat"]) -> None:
        self._line: deque[Seat] = deque(sorted(seats, key=lambda seat: seat.turn))
        for seat in self._line:
            seat.queued = 1
        self._most = 2 * len(self._line) + _STALE
        self._back: list[tuple[int, int, Seat]] = []
        self._entries = itertools.count()

    def first(self) -> "Seat | None":
        """The seat with a free slot whose turn is the longest ago."""
        line = self._line
        while line:
            waiting = line[0]
            if waiting.queued == 1 and waiting.level >= 0:
                return self._before(waiting) if self._back else waiting
            waiting.queued -= 1
            line.popleft()
        return self._first_back()

    def turned(self, seat: "Seat") -> None:
        """A seat has had its turn just now."""
        seat.queued += 1
        self._line.append(seat)
        if len(self._line) > self._most:
            self._tidy()

    def freed(self, seat: "Seat") -> None:
        """A seat has a free slot."""
        if not seat.queued and seat.back != seat.turn:
            seat.back = seat.turn
            heapq.heappush(self._back, (seat.turn, next(self._entries), seat))

    def _before(self, waiting: "Seat") -> "Seat":
        back = self._first_back()
        return waiting if back is None or waiting.turn < back.turn else back

    def _first_back(self) -> "Seat | None":
        while self._back:
            turn, _, seat = self._back[0]
            if turn == seat.turn and seat.level >= 0:
                return seat
            heapq.heappop(self._back)
            if seat.back == turn:
                seat.back = NEVER
        return None

    def _tidy(self) -> None:
        """Throw out the places that do not count."""
        last = dict.fromkeys(reversed(self._line))
        for seat in last:
            seat.queued = int(seat.level >= 0)
        self._line = deque(seat for seat in reversed(last) if seat.queued)
        self._most = 2 * len(self._line) + _STALE
