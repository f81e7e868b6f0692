"""Free slots of workers that are alike, in the order in which they would be given out."""

import heapq
from typing import TYPE_CHECKING, Protocol

from devteam_router.domain import AttemptId

if TYPE_CHECKING:
    from devteam_router.stations import Kind, Station

# The level of a seat that has no free slot.
TAKEN = -1
# The load of a row, and the turn of one, that has nobody.
NOBODY = float("inf")
# The lowest level of a row that has nobody: above all others.
_EMPTY = 1 << 30


class Watcher(Protocol):
    """Keeps rows in order."""

    def improved(self, row: "Row") -> None:
        """A row has something better to give than before; said once, until the watcher watches it again."""


class Seat:
    """One worker's slots in one queue. `held` are the attempts in them, `elsewhere` those that other Routers put."""

    __slots__ = ("elsewhere", "held", "in_rotation", "level", "limit", "place", "row", "station", "turn")

    def __init__(self, station: "Station", row: "Row", held: dict[AttemptId, None]) -> None:
        self.station = station
        self.row = row
        self.held = held
        self.limit = row.limit
        self.elsewhere = 0
        self.level = TAKEN
        self.place = 0
        # When it was given something last; 0: never.
        self.turn = 0
        self.in_rotation = False

    @property
    def taken(self) -> int:
        """Slots of the queue that are occupied."""
        return len(self.held) + self.elsewhere


class Row:
    """The seats that workers of one kind have in one queue; those with a free slot, by load and by turn.

    `limit` slots has each worker in this queue. `unit` is what one more run adds to the load of one of them, and `low`
    is how many runs the least loaded of the `free` ones has.
    """

    __slots__ = (
        "_entries",
        "_levels",
        "_rotation",
        "awake",
        "free",
        "kind",
        "limit",
        "low",
        "queue",
        "unit",
        "watchers",
    )

    def __init__(self, kind: "Kind", queue: str, limit: int, unit: float) -> None:
        self.kind = kind
        self.queue = queue
        # Whether it is kept in order; nobody looks at it before.
        self.awake = False
        self.limit = limit
        self.unit = unit
        self.free = 0
        self.watchers: dict[Watcher, None] = {}
        self._levels: list[list[Seat]] = [[]]
        self.low = _EMPTY
        # By turn; made when somebody first asks for turns.
        self._rotation: list[tuple[int, int, Seat]] | None = None
        self._entries = 0

    def load(self) -> float:
        """What the load of the least loaded worker would be with one more run; NOBODY when none is free."""
        return (self.low + 1) * self.unit if self.free else NOBODY

    def least_loaded(self) -> list[Seat]:
        """All those that are least loaded; must not be changed. Empty when none is free."""
        return self._levels[self.low] if self.free else []

    def turn(self) -> float:
        """When the worker whose turn it is had its last one; NOBODY when none is free."""
        seat = self.next_in_turn()
        return NOBODY if seat is None else seat.turn

    def next_in_turn(self) -> Seat | None:
        """The worker whose last turn is the longest ago; None when none is free."""
        if self._rotation is None:
            self._rotation = []
            for seat in [seat for level in self._levels for seat in level]:
                self._enter(seat)
        rotation = self._rotation
        while rotation:
            turn, entry, seat = rotation[0]
            if seat.level == TAKEN or seat.row is not self:
                heapq.heappop(rotation)
                seat.in_rotation = False
            elif seat.turn != turn:
                heapq.heapreplace(rotation, (seat.turn, entry, seat))
            else:
                return seat
        return None

    def move(self, seat: Seat, level: int) -> None:
        """Put a seat where it belongs: its worker has so many runs, or (TAKEN) no free slot here."""
        levels, lowest, old = self._levels, self.low, seat.level
        seat.level = level
        if old >= 0:
            last = levels[old].pop()
            if last is not seat:
                levels[old][seat.place], last.place = last, seat.place
            self.free -= 1
        if level >= 0:
            while len(levels) <= level:
                levels.append([])
            seat.place = len(levels[level])
            levels[level].append(seat)
            self.free += 1
        if 0 <= level < lowest:
            self.low = level
        elif old == lowest and not levels[old]:
            self._climb()
        better = 0 <= level < lowest
        if self._rotation is not None and level >= 0 and not seat.in_rotation:
            better = self._enter(seat) or better
        if better and self.watchers:
            self._tell()

    def _climb(self) -> None:
        """The lowest level has nobody left: find the next one that has."""
        if not self.free:
            self.low = _EMPTY
            return
        while not self._levels[self.low]:
            self.low += 1

    def _enter(self, seat: Seat) -> bool:
        """Into the rotation; True if it is at its head now."""
        assert self._rotation is not None
        seat.in_rotation = True
        self._entries += 1
        heapq.heappush(self._rotation, (seat.turn, self._entries, seat))
        return self._rotation[0][2] is seat

    def _tell(self) -> None:
        watchers = list(self.watchers)
        self.watchers.clear()
        for watcher in watchers:
            watcher.improved(self)
