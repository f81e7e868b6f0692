"""Which traces make room for others."""

import sqlite3
from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple


class Room(NamedTuple):
    """So many spans, and so many bytes."""

    spans: float
    bytes: float

    def part_of(self, whole: "Room") -> float:
        """How much of the whole it is, by what it has more of."""
        return max(self.spans / whole.spans, self.bytes / whole.bytes)

    def without(self, trace: "Trace") -> "Room":
        """The same less one trace."""
        return Room(self.spans - trace.spans, self.bytes - trace.bytes)


class Trace(NamedTuple):
    """A trace as the store counts it."""

    trace_id: bytes
    spans: int
    bytes: int


def leaving(connection: sqlite3.Connection, needed: Room, whole: Room) -> list[Trace]:
    """As many traces as it takes to be rid of so much: always the one told of longest ago, of the tenant with most.

    What names nobody counts as a tenant's of its own where there are several, and as everybody's where there is one.
    """
    found: list[Trace] = []
    for trace in _in_turn(connection, whole):
        if needed.spans <= 0 and needed.bytes <= 0:
            break
        found.append(trace)
        needed = needed.without(trace)
    return found


def _in_turn(connection: sqlite3.Connection, whole: Room) -> Iterator[Trace]:
    held = {tenant: Room(spans, size) for tenant, spans, size in connection.execute(_HELD)}
    if len(held.keys() - {""}) < 2:
        yield from map(Trace._make, connection.execute(_OLDEST))
        return
    oldest = {tenant: map(Trace._make, connection.execute(_OLDEST_OF, (tenant,))) for tenant in held}
    most = [(-room.part_of(whole), tenant, room) for tenant, room in held.items()]
    heapify(most)
    while most:
        _, tenant, room = most[0]
        trace = next(oldest[tenant], None)
        if trace is None:
            heappop(most)
            continue
        yield trace
        left = room.without(trace)
        heapreplace(most, (-left.part_of(whole), tenant, left))


_HELD = "SELECT tenant, sum(spans), sum(bytes) FROM traces GROUP BY tenant"
_OLDEST = "SELECT trace_id, spans, bytes FROM traces ORDER BY told"
_OLDEST_OF = "SELECT trace_id, spans, bytes FROM traces WHERE tenant = ? ORDER BY told"
