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
        "_rotation",
        "awake",
        "due",
        "free",
        "kind",
        "levels",
        "limit",
        "load",
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
        # What the load of the least loaded worker would be with one more run, and when the worker whose turn it is had
        # its last one (once somebody has asked for turns); NOBODY when none is free.
        self.load = NOBODY
        self.due = NOBODY
        self.watchers: dict[Watcher, None] = {}
        # Those with a free slot, by how many runs they have.
        self.levels: list[list[Seat]] = [[]]
        self.low = _EMPTY
        # By turn; made when somebody first asks for turns.
        self._rotation: list[tuple[int, int, Seat]] | None = None
        self._entries = 0

    def least_loaded(self) -> list[Seat]:
        """All those that are least loaded; must not be changed. Empty when none is free."""
        return self.levels[self.low] if self.free else []

    def next_in_turn(self) -> Seat | None:
        """The worker whose last turn is the longest ago; None when none is free."""
        if self._rotation is None:
            self._rotation = []
            for seat in [seat for level in self.levels for seat in level]:
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
                self.due = turn
                return seat
        self.due = NOBODY
        return None

    def move(self, seat: Seat, level: int) -> None:
        """Put a seat where it belongs: its worker has so many runs, or (TAKEN) no free slot here."""
        levels, lowest, old = self.levels, self.low, seat.level
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
            self.load = (level + 1) * self.unit
        elif old == lowest and not levels[old]:
            self._climb()
        sooner = self._rotation is not None and self._turned(seat)
        if self.watchers and (sooner or 0 <= level < lowest):
            self._tell()

    def _turned(self, seat: Seat) -> bool:
        """The turn of a worker is another one, or it is free again or no more; True if it is its turn sooner."""
        assert self._rotation is not None
        if seat.level >= 0 and not seat.in_rotation:
            return self._enter(seat)
        if self._rotation and self._rotation[0][2] is seat:
            self.next_in_turn()
        return False

    def _climb(self) -> None:
        """The lowest level has nobody left: find the next one that has."""
        if not self.free:
            self.low, self.load = _EMPTY, NOBODY
            return
        while not self.levels[self.low]:
            self.low += 1
        self.load = (self.low + 1) * self.unit

    def _enter(self, seat: Seat) -> bool:
        """Into the rotation; True if it is at its head now."""
        assert self._rotation is not None
        seat.in_rotation = True
        self._entries += 1
        heapq.heappush(self._rotation, (seat.turn, self._entries, seat))
        if self._rotation[0][2] is not seat:
            return False
        self.due = seat.turn
        return True

    def _tell(self) -> None:
        watchers = list(self.watchers)
        self.watchers.clear()
        for watcher in watchers:
            watcher.improved(self)
