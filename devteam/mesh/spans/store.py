"""Spans on this machine, found by their trace: a file that several processes write to at once, and that stays small."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import structlog

from devteam.mesh.errors import Unavailable
from devteam.mesh.spans.eviction import Room, leaving
from devteam.mesh.spans.file import (
    ForeignFile,
    connected,
    is_unreadable,
    opened,
    set_aside,
    shorten_journal,
    transaction,
)
from devteam.mesh.spans.record import Record

_log = structlog.get_logger()

_Read = TypeVar("_Read")

# What a row costs beside its data: two keys, their index, its share of a page.
_ROW_BYTES = 160
# So much goes at once, as a part of what may be kept: else every write would have to make room.
_ROOM = 0.1


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept. One trace gets a quarter of `bytes` at most, so that none pushes out all others."""

    spans: int = 200_000
    # Of the file, about.
    bytes: int = 240 * 1024 * 1024
    trace_spans: int = 20_000


class SpanStore:
    """The spans in one file; the traces that were told of longest ago make room for new ones.

    Of several tenants, the one that has most gives first.

    Every method blocks on the disk: call it from a thread. Several threads and processes may use one file; it is opened
    with the first write, and again when somebody takes it away.
    """

    def __init__(self, path: Path, bounds: Bounds | None = None) -> None:
        self._path = path
        self.bounds = bounds or Bounds()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._failing = False

    def add(self, records: Sequence[Record]) -> None:
        """Keep spans; one that is there already, and one too many of its trace, changes nothing.

        Raises Unavailable when they cannot be kept, and says so in the log, once.
        """
        with self._lock, self._told():
            try:
                self._write(records)
            except sqlite3.Error as error:
                self._drop_connection()
                if not is_unreadable(error):
                    raise
                set_aside(self._path)
                self._write(records)

    def spans_of(self, trace_id: bytes, limit: int) -> list[bytes]:
        """At most `limit` spans of a trace, each the contract's Span, by their start. Raises Unavailable."""
        statement = "SELECT data FROM spans WHERE trace_id = ? ORDER BY start, span_id LIMIT ?"
        return self._read(lambda db: [data for (data,) in db.execute(statement, (trace_id, limit))], [])

    def largest(self) -> bytes | None:
        """The id of the trace with the most spans; None when there is none. Raises Unavailable."""
        statement = "SELECT trace_id FROM traces ORDER BY spans DESC LIMIT 1"
        return self._read(lambda db: next((bytes(row[0]) for row in db.execute(statement)), None), None)

    def close(self) -> None:
        """Close the file; another write opens it again."""
        with self._lock:
            self._drop_connection()

    def _write(self, records: Sequence[Record]) -> None:
        connection = self._opened()
        with transaction(connection):
            for trace_id, of_trace in groupby(sorted(records, key=_trace_of), key=_trace_of):
                self._add_to(connection, trace_id, of_trace)
            connection.execute("UPDATE total SET writes = writes + 1")
            self._make_room(connection)
        shorten_journal(connection, self._path)

    def _add_to(self, connection: sqlite3.Connection, trace_id: bytes, records: Iterable[Record]) -> None:
        known = connection.execute("SELECT spans, bytes FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
        before = spans, size = known or (0, 0)
        whose = ""
        for record in records:
            grown = size + len(record.data) + _ROW_BYTES
            if spans >= self.bounds.trace_spans or grown > self.bounds.bytes // 4:
                break
            if connection.execute(_ADD, (trace_id, record.span_id, record.start, record.data)).rowcount:
                spans, size = spans + 1, grown
                whose = whose or record.tenant
        connection.execute(_TELL, (trace_id, spans, size, whose))
        connection.execute(_COUNT, (spans - before[0], size - before[1]))

    def _make_room(self, connection: sqlite3.Connection) -> None:
        spans, size = connection.execute("SELECT spans, bytes FROM total").fetchone()
        if spans <= self.bounds.spans and size <= self.bounds.bytes:
            return
        whole = Room(self.bounds.spans * (1 - _ROOM), self.bounds.bytes * (1 - _ROOM))
        for trace in leaving(connection, Room(spans - whole.spans, size - whole.bytes), whole):
            connection.execute("DELETE FROM spans WHERE trace_id = ?", (trace.trace_id,))
            connection.execute("DELETE FROM traces WHERE trace_id = ?", (trace.trace_id,))
            connection.execute(_COUNT, (-trace.spans, -trace.bytes))

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and _inode(self._path) != self._inode:
            self._drop_connection()
        if self._connection is None:
            self._connection = opened(self._path)
            self._inode = _inode(self._path)
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _read(self, query: Callable[[sqlite3.Connection], _Read], nothing: _Read) -> _Read:
        if not self._path.exists():
            return nothing
        try:
            with closing(connected(self._path)) as connection:
                return query(connection)
        except sqlite3.Error as error:
            _log.warning("the spans cannot be read", file=str(self._path), error=str(error))
            raise Unavailable(
                "the store of traces cannot be read now; the log of the mesh says why", reason="STORAGE_UNAVAILABLE"
            ) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in the log that writing fails, and that it works again: each once."""
        try:
            yield
        except (sqlite3.Error, OSError, ForeignFile) as error:
            if not self._failing:
                _log.warning("spans cannot be kept, they are dropped", file=str(self._path), error=str(error))
            self._failing = True
            raise Unavailable(
                "the store of traces cannot be written to now, these spans are dropped; the log of the mesh says why",
                reason="STORAGE_UNAVAILABLE",
                retry_after=60.0,
            ) from error
        if self._failing:
            _log.info("spans are kept again", file=str(self._path))
        self._failing = False


_ADD = "INSERT OR IGNORE INTO spans (trace_id, span_id, start, data) VALUES (?, ?, ?, ?)"
_TELL = (
    "INSERT INTO traces (trace_id, told, spans, bytes, tenant) VALUES (?1, (SELECT writes FROM total), ?2, ?3, ?4) "
    "ON CONFLICT DO UPDATE SET told = excluded.told, spans = excluded.spans, bytes = excluded.bytes, "
    # Whoever is named first.
    "tenant = coalesce(nullif(tenant, ''), excluded.tenant)"
)
_COUNT = "UPDATE total SET spans = spans + ?, bytes = bytes + ?"


def _trace_of(record: Record) -> bytes:
    return record.trace_id


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
