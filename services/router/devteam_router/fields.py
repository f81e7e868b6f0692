"""The workers that a run could go to, with the best one at hand."""

from collections.abc import Callable, Iterator
from random import Random

from devteam_router.choices import Glimpse
from devteam_router.domain import Signature, StrategyName
from devteam_router.fleet import Fleet
from devteam_router.orders import HeapOrder, Order, ScannedOrder
from devteam_router.routing import Routing
from devteam_router.seats import Row, Seat
from devteam_router.stations import FITTING, Kind
from devteam_router.strategies.base import Rank, Strategy

# Where there are no more kinds than that, to look at each is quicker than to keep them in order.
_FEW = 64
# Fields that are kept; runs name the signatures, so they are without end.
_FIELDS = 4_096
# So many kinds each decision remembers, or, where there are more, so many of those that are looked at first.
_GLIMPSES = 16
_CONTENDERS = 4


class Field:
    """The kinds that fit a signature in one queue, in the order of a strategy."""

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
        self._rows: dict[Row, tuple[Rank, Kind]] = {}
        self._order: Order = self._scanned()
        # The best rank of all, free or not; and a kind that was found to be nearer than another, and to take work.
        self._first: Rank | None = None
        self._near_kind: tuple[Rank, Kind] | None = None
        self._seen = 0
        # Which kinds there were, and where the data was.
        self._version, self._places = 0, 0

    def best(self) -> Row | None:
        """The kind to take a worker from; None when none has a free slot."""
        return self._order.best()

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
        rank = self._rows[row][0]
        if not self.patient or rank == self._first:
            return False
        near = self._near_kind
        if near is None or not (near[0] < rank and near[1].open):
            near = next((other for other in self._rows.values() if other[0] < rank and other[1].open), None)
            self._near_kind = near
        return near is not None

    def compared(self) -> tuple[list[Glimpse], int]:
        """The kinds as they are now: all, or where they are many a few of them; and how many workers are free.

        Where there are too many kinds to look at each, only the workers of those few are counted.
        """
        rows = list(self._rows) if len(self._rows) <= _GLIMPSES else self._order.first(_CONTENDERS)
        counted = self._rows if len(self._rows) <= _FEW else rows
        return [(row, row.low, row.free) for row in rows], sum(row.free for row in counted)

    def seats(self) -> Iterator[Seat]:
        """Every worker with a free slot, however many there are."""
        for _, kind in self._rows.values():
            for station in kind.stations.values():
                seat = station.seat(self._queue)
                if seat is not None and seat.level >= 0:
                    yield seat

    def close(self) -> None:
        """Nobody will ask again."""
        self._order.close()
        self._fleet.put_down(self._queue)

    def catch_up(self) -> None:
        """Take in what has changed since somebody last asked."""
        everyone = self._all
        places = self._fleet.sources.version(self._near) if self._near else 0
        if everyone.version != self._version or places != self._places:
            self._begin(everyone.version, places)
        if len(everyone.entries) != self._seen:
            self._take_in(everyone.entries[self._seen :])

    def _begin(self, version: int, places: int) -> None:
        self._order.close()
        self._rows.clear()
        self._order = self._scanned()
        self._first = self._near_kind = None
        self._seen, self._version, self._places = 0, version, places

    def _take_in(self, entries: list[tuple[Kind, Row]]) -> None:
        for kind, row in entries:
            if kind.profile.verdict(self._queue, self._signature) == FITTING:
                rank = self.strategy.rank(self._signature, kind)
                self._rows[row] = rank, kind
                self._first = rank if self._first is None else min(rank, self._first)
                if self.strategy.in_turn:
                    row.next_in_turn()
                self._order.add(row, rank)
        self._seen += len(entries)
        if len(self._rows) > _FEW and isinstance(self._order, ScannedOrder):
            self._order = HeapOrder(self._random, in_turn=self.strategy.in_turn)
            for row, (rank, _) in self._rows.items():
                self._order.add(row, rank)

    def _scanned(self) -> Order:
        return ScannedOrder(self._random, in_turn=self.strategy.in_turn)


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
