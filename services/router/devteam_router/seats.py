"""Free slots of workers that are alike, in the order in which they would be given out."""

from typing import TYPE_CHECKING, Protocol

from devteam_router.rotation import NEVER, Rotation

if TYPE_CHECKING:
    from devteam_router.leases import Held
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

    __slots__ = (
        "alone",
        "back",
        "elsewhere",
        "held",
        "level",
        "limit",
        "place",
        "queued",
        "room",
        "row",
        "station",
        "turn",
        "vacant",
    )

    def __init__(self, station: "Station", row: "Row", held: "Held") -> None:
        self.station = station
        self.row = row
        self.held = held
        self.limit = row.limit
        self.elsewhere = 0
        self.level = TAKEN
        self.place = 0
        # When it was given something last; 0: never.
        self.turn = 0
        # Its places in the rotation, as a Rotation counts them.
        self.queued, self.back = 0, NEVER
        # How many runs it may have; none while its worker takes no work.
        self.room = 0
        # How many more it could have now.
        self.vacant = 0
        # Whether its runs are all that its worker has, so that nothing but this seat needs to be looked at.
        self.alone = False

    def settle(self) -> None:
        """As Keeper.settle."""
        if self.alone:
            self.put(len(self.held) + self.elsewhere, self.limit)
        else:
            self.station.settle()

    def put(self, runs: int, spare: int) -> None:
        """Where it belongs: its worker has so many runs, and slots to spare for so many more."""
        level, vacant = runs, min(self.room - len(self.held) - self.elsewhere, spare)
        if vacant <= 0:
            level, vacant = TAKEN, 0
        if vacant != self.vacant:
            self.row.vacant += vacant - self.vacant
            self.vacant = vacant
        if level != self.level and self.row.awake:
            self.row.move(self, level)

    @property
    def taken(self) -> int:
        """Slots of the queue that are occupied."""
        return len(self.held) + self.elsewhere


class Row:
    """The seats that workers of one kind have in one queue; those with a free slot, by load and by turn.

    `limit` slots has each worker in this queue. `unit` is what one more run adds to the load of one of them, and `low`
    is how many runs the least loaded of the `free` ones has. `vacant` slots can be given out, whether or not it is kept
    in order.
    """

    __slots__ = (
        "_rotation",
        "awake",
        "due",
        "first",
        "free",
        "kind",
        "levels",
        "limit",
        "load",
        "low",
        "queue",
        "unit",
        "vacant",
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
        self.vacant = 0
        # What the load of the least loaded worker would be with one more run, and when the worker whose turn it is had
        # its last one (once somebody has asked for turns); NOBODY when none is free.
        self.load = NOBODY
        self.due = NOBODY
        self.watchers: dict[Watcher, None] = {}
        # Those with a free slot, by how many runs they have.
        self.levels: list[list[Seat]] = [[]]
        self.low = _EMPTY
        # By turn, and who is first; made when somebody first asks for turns.
        self._rotation: Rotation | None = None
        self.first: Seat | None = None

    def least_loaded(self) -> list[Seat]:
        """All those that are least loaded; must not be changed. Empty when none is free."""
        return self.levels[self.low] if self.free else []

    def next_in_turn(self) -> Seat | None:
        """The worker whose last turn is the longest ago; None when none is free."""
        if self._rotation is None:
            self._rotation = Rotation(seat for level in self.levels for seat in level)
            self._look_first()
        return self.first

    def turned(self, seat: Seat) -> None:
        """A worker was given something just now."""
        if self._rotation is not None:
            self._rotation.turned(seat)
            self._look_first()

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
        # Of those in the line nobody but the first one matters.
        sooner = (seat is self.first or not seat.queued) and self._slots_changed(seat)
        if self.watchers and (sooner or 0 <= level < lowest):
            self._tell()

    def _slots_changed(self, seat: Seat) -> bool:
        """A worker has a free slot more, or less; True if somebody's turn has come sooner than it would have."""
        if self._rotation is None:
            return False
        before = self.due
        if seat.level >= 0:
            self._rotation.freed(seat)
        self._look_first()
        return self.due < before

    def _look_first(self) -> None:
        assert self._rotation is not None
        self.first = self._rotation.first()
        self.due = NOBODY if self.first is None else self.first.turn

    def _climb(self) -> None:
        """The lowest level has nobody left: find the next one that has."""
        if not self.free:
            self.low, self.load = _EMPTY, NOBODY
            return
        while not self.levels[self.low]:
            self.low += 1
        self.load = (self.low + 1) * self.unit

    def _tell(self) -> None:
        watchers = list(self.watchers)
        self.watchers.clear()
        for watcher in watchers:
            watcher.improved(self)
