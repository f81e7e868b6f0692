"""The workers that a run could go to, with the best one at hand."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from math import log
from random import Random

from devteam_router.choices import Glimpse
from devteam_router.domain import Signature, StrategyName
from devteam_router.fleet import Fleet
from devteam_router.routing import Routing
from devteam_router.seats import NOBODY, Row, Seat
from devteam_router.stations import FITTING, Kind
from devteam_router.strategies.base import Rank, Strategy

# A heap of kinds is made anew once so many of its entries are out of date.
_STALE = 64
# Fields that are kept; runs name the signatures, so they are without end.
_FIELDS = 4_096
# So many kinds each decision remembers, or, where there are more, so many of those that were next.
_GLIMPSES = 8
_CONTENDERS = 3

_Entry = tuple[Rank, float, float, int, Row]


class Field:
    """The kinds that fit a signature in one queue, in the order of a strategy.

    A heap that is put right as it is read: entries that became worse are found when they come to its top, and rows say
    themselves when they became better. So neither a decision nor a freed slot looks at more than a few of them.
    """

    def __init__(self, fleet: Fleet, queue: str, signature: Signature, strategy: Strategy, random: Random) -> None:
        self.strategy = strategy
        self._fleet = fleet
        self._queue = queue
        self._all = fleet.read(queue)
        self._signature = signature
        self._near = signature.near_data_source
        # Whether waiting for a near worker may be better than taking a far one.
        self.patient = strategy.name is StrategyName.LOCALITY and bool(self._near)
        self._random = random
        self._key: Callable[[Row], float] = Row.turn if strategy.in_turn else Row.load
        self._rows: dict[Row, tuple[Rank, Kind]] = {}
        self._heap: list[_Entry] = []
        # Which entry of a row is the one that counts.
        self._current: dict[Row, int] = {}
        self._numbers = itertools.count(1)
        # The lot that won; later ones begin there, so that those who lost do not fall ever further behind.
        self._last_lot = 0.0
        self._better: list[Row] = []
        # The best rank of all, free or not.
        self._first: Rank | None = None
        self._seen = 0
        # Which kinds there were, and where the data was.
        self._version, self._places = 0, 0

    def improved(self, row: Row) -> None:
        """A row has something better to give than its entry says."""
        self._better.append(row)

    def best(self) -> Row | None:
        """The kind to take a worker from; None when none has a free slot."""
        heap = self._heap
        while heap:
            rank, key, lot, number, row = heap[0]
            if self._current.get(row) != number:
                heapq.heappop(heap)
                continue
            now = self._key(row)
            if now == key:
                if len(heap) > 1:
                    # Whoever has won draws anew: else one of several equal kinds would win as long as they are equal.
                    self._last_lot = lot
                    heapq.heapreplace(heap, (rank, key, self._lot(row), number, row))
                return row
            if now == NOBODY:
                heapq.heappop(heap)
                del self._current[row]
                row.watchers[self] = None
            else:
                heapq.heapreplace(heap, (rank, now, self._lot(row), number, row))
        return None

    def draw(self, row: Row) -> tuple[Seat, int]:
        """One of the best workers of a row, by lot or by turn; and how many of them there were."""
        if self.strategy.in_turn:
            seat = row.next_in_turn()
            assert seat is not None
            return seat, 1
        best = row.least_loaded()
        tied = len(best)
        return best[int(self._random.random() * tied) if tied > 1 else 0], tied

    def rank(self, row: Row) -> Rank:
        """What the strategy makes of a row."""
        return self._rows[row][0]

    def worth(self, seat: Seat) -> float:
        """What orders workers within a rank; lower is better."""
        return seat.turn if self.strategy.in_turn else (seat.level + 1) * seat.row.unit

    def is_far(self, row: Row) -> bool:
        """Whether it is worth waiting for a better rank: somebody of it takes work, and is busy."""
        if not self.patient:
            return False
        rank = self._rows[row][0]
        return rank != self._first and any(kind.open for other, kind in self._rows.values() if other < rank)

    def glimpses(self) -> list[Glimpse]:
        """The kinds that are compared, as they are now: all, or where they are many a few of the best."""
        if len(self._rows) <= _GLIMPSES:
            return [(row, row.low, row.free) for row in self._rows]
        return [(entry[4], entry[4].low, entry[4].free) for entry in self._heap[:_CONTENDERS]]

    def seats(self) -> Iterator[Seat]:
        """Every worker with a free slot, however many there are."""
        for _, kind in self._rows.values():
            for station in kind.stations.values():
                seat = station.seat(self._queue)
                if seat is not None and seat.level >= 0:
                    yield seat

    def close(self) -> None:
        """Nobody will ask again."""
        self._look_away()
        self._fleet.put_down(self._queue)

    def _look_away(self) -> None:
        for row in self._rows:
            row.watchers.pop(self, None)

    def catch_up(self) -> None:
        """Take in what has changed since somebody last asked."""
        everyone = self._all
        places = self._fleet.sources.version(self._near) if self._near else 0
        if everyone.version != self._version or places != self._places:
            self._begin(everyone.version, places)
        if len(everyone.entries) != self._seen:
            self._take_in(everyone.entries[self._seen :])
        while self._better:
            self._push(self._better.pop())

    def _begin(self, version: int, places: int) -> None:
        self._look_away()
        self._rows.clear()
        self._heap.clear()
        self._current.clear()
        self._better.clear()
        self._first, self._seen, self._version, self._places = None, 0, version, places

    def _take_in(self, entries: list[tuple[Kind, Row]]) -> None:
        for kind, row in entries:
            if kind.profile.verdict(self._queue, self._signature) == FITTING:
                rank = self.strategy.rank(self._signature, kind)
                self._rows[row] = rank, kind
                self._first = rank if self._first is None else min(rank, self._first)
                self._push(row)
        self._seen += len(entries)

    def _push(self, row: Row) -> None:
        row.watchers[self] = None
        key = self._key(row)
        if key == NOBODY:
            self._current.pop(row, None)
            return
        if len(self._heap) > 2 * len(self._rows) + _STALE:
            self._heap = [entry for entry in self._heap if self._current.get(entry[4]) == entry[3]]
            heapq.heapify(self._heap)
        number = self._current[row] = next(self._numbers)
        heapq.heappush(self._heap, (self._rows[row][0], key, self._lot(row), number, row))

    def _lot(self, row: Row) -> float:
        """Among equal kinds the lowest lot goes first: exponential, as if each of their best workers had drawn one."""
        return self._last_lot - log(1.0 - self._random.random()) / len(row.least_loaded())


class Fields:
    """A field for each signature and queue that was asked for lately.

    `strategy` tells which one holds for a signature in a queue, until `routing` has another version.
    """

    def __init__(
        self, fleet: Fleet, routing: Routing, strategy: Callable[[Signature, str], Strategy], random: Random
    ) -> None:
        self._fleet = fleet
        self._routing = routing
        self._strategy = strategy
        self._random = random
        self._fields: dict[tuple[Signature, str], Field] = {}
        self._version = routing.version

    def of(self, signature: Signature, queue: str) -> Field:
        """The field of a signature in a queue, as it is now."""
        if self._version != self._routing.version:
            self._drop_outdated()
        field = self._fields.get((signature, queue))
        if field is None:
            field = self._made(signature, queue)
        field.catch_up()
        return field

    def _made(self, signature: Signature, queue: str) -> Field:
        while len(self._fields) >= _FIELDS:
            self._drop(next(iter(self._fields)))
        self._fleet.ask(signature)
        strategy = self._strategy(signature, queue)
        field = self._fields[signature, queue] = Field(self._fleet, queue, signature, strategy, self._random)
        return field

    def _drop_outdated(self) -> None:
        self._version = self._routing.version
        for (signature, queue), field in list(self._fields.items()):
            if field.strategy is not self._strategy(signature, queue):
                self._drop((signature, queue))

    def _drop(self, key: tuple[Signature, str]) -> None:
        self._fields.pop(key).close()
