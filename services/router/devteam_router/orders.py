"""Kinds of workers in the order of a strategy."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from math import log
from operator import attrgetter
from random import Random
from typing import Protocol

from devteam_router.seats import NOBODY, Row
from devteam_router.strategies.base import Rank

# A heap is made anew once so many of its entries are out of date.
_STALE = 64

_DUE, _LOAD = attrgetter("due"), attrgetter("load")
_Entry = tuple[Rank, float, float, int, Row]


class Order(Protocol):
    """Rows by rank, and within a rank by load or by turn."""

    def add(self, row: Row, rank: Rank) -> None:
        """Take in a row."""

    def best(self) -> Row | None:
        """The row to take a worker from, equal ones by lot; None when nobody is free."""

    def first(self, count: int) -> list[Row]:
        """A few rows of those that are looked at first."""

    def close(self) -> None:
        """Nobody will ask again."""


class ScannedOrder:
    """Looks at row after row: the quickest way as long as there are few."""

    def __init__(self, random: Random, *, in_turn: bool) -> None:
        self._random = random
        self._in_turn = in_turn
        self._groups: list[tuple[Rank, list[Row]]] = []

    def add(self, row: Row, rank: Rank) -> None:
        """Take in a row."""
        groups = dict(self._groups)
        groups.setdefault(rank, []).append(row)
        self._groups = sorted(groups.items())

    def best(self) -> Row | None:
        """The row to take a worker from; None when nobody is free."""
        choose = self._next_in_turn if self._in_turn else self._least_loaded
        for _, rows in self._groups:
            row = rows[0] if len(rows) == 1 else choose(rows)
            if row is not None and row.free:
                return row
        return None

    def first(self, count: int) -> list[Row]:
        """A few rows of the best ranks."""
        return list(itertools.islice((row for _, rows in self._groups for row in rows if row.free), count))

    def close(self) -> None:
        """Nothing was asked of anybody."""

    def _next_in_turn(self, rows: list[Row]) -> Row | None:
        return min(rows, key=_DUE)

    def _least_loaded(self, rows: list[Row]) -> Row | None:
        """The least loaded row; one of equal ones by lot, as if each of their best workers had drawn one."""
        least, found, tied, random = NOBODY, None, 0, self._random.random
        for row in rows:
            load = row.load
            if load < least:
                least, found, tied = load, row, 0
            elif load == least and found is not None:
                mine = len(row.levels[row.low])
                tied = (tied or len(found.levels[found.low])) + mine
                if random() * tied < mine:
                    found = row
        return found


class HeapOrder:
    """A heap that is put right as it is read, so that what it costs does not grow with the rows.

    Entries that became worse are found when they come to its top, and rows say themselves when they became better.
    """

    def __init__(self, random: Random, *, in_turn: bool) -> None:
        self._random = random
        self._key: Callable[[Row], float] = _DUE if in_turn else _LOAD
        self._ranks: dict[Row, Rank] = {}
        self._heap: list[_Entry] = []
        # Which entry of a row is the one that counts.
        self._current: dict[Row, int] = {}
        self._numbers = itertools.count(1)
        self._better: list[Row] = []
        # The lot that won; later ones begin there, so that those who lost do not fall ever further behind.
        self._last_lot = 0.0

    def add(self, row: Row, rank: Rank) -> None:
        """Take in a row."""
        self._ranks[row] = rank
        self._push(row)

    def improved(self, row: Row) -> None:
        """A row has something better to give than its entry says."""
        self._better.append(row)

    def best(self) -> Row | None:
        """The row to take a worker from; None when nobody is free."""
        while self._better:
            self._push(self._better.pop())
        for entry in self._tops():
            rank, key, lot, number, row = entry
            now = self._key(row)
            if now == NOBODY:
                heapq.heappop(self._heap)
                del self._current[row]
                row.watchers[self] = None
                continue
            # Whoever has won draws anew: else one of several equal kinds would win as long as they are equal.
            self._last_lot = lot if now == key else self._last_lot
            heapq.heapreplace(self._heap, (rank, now, self._lot(row), number, row))
            if now == key:
                return row
        return None

    def first(self, count: int) -> list[Row]:
        """A few rows from the top."""
        return list(dict.fromkeys(entry[4] for entry in self._heap[: 2 * count] if entry[4].free))[:count]

    def close(self) -> None:
        """Watch nobody any longer."""
        for row in self._ranks:
            row.watchers.pop(self, None)

    def _tops(self) -> Iterator[_Entry]:
        """What is at the top now, again and again, but for entries that do not count any more."""
        while self._heap:
            entry = self._heap[0]
            if self._current.get(entry[4]) == entry[3]:
                yield entry
            else:
                heapq.heappop(self._heap)

    def _push(self, row: Row) -> None:
        row.watchers[self] = None
        key = self._key(row)
        if key == NOBODY:
            self._current.pop(row, None)
            return
        if len(self._heap) > 2 * len(self._ranks) + _STALE:
            self._heap = [entry for entry in self._heap if self._current.get(entry[4]) == entry[3]]
            heapq.heapify(self._heap)
        number = self._current[row] = next(self._numbers)
        heapq.heappush(self._heap, (self._ranks[row], key, self._lot(row), number, row))

    def _lot(self, row: Row) -> float:
        """Among equal rows the lowest lot goes first: exponential, as if each of their best workers had drawn one."""
        return self._last_lot - log(1.0 - self._random.random()) / len(row.least_loaded())
