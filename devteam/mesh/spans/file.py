"""The SQLite file that spans are kept in: made, recognised, and set aside when nobody can read it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

_log = structlog.get_logger()

# What tells this file from other databases, and this layout from later ones.
_APPLICATION = 0x64767472
_VERSION = 1
_BUSY_SECONDS = 5.0
_JOURNAL_BYTES = 16 * 1024 * 1024
_SIDE_FILES = ("", "-wal", "-shm")

_SCHEMA = """
CREATE TABLE spans (trace_id BLOB, span_id BLOB, start INTEGER, data BLOB, PRIMARY KEY (trace_id, span_id));
CREATE TABLE traces (trace_id BLOB PRIMARY KEY, told INTEGER, spans INTEGER, bytes INTEGER) WITHOUT ROWID;
CREATE INDEX traces_by_age ON traces (told);
CREATE TABLE total (writes INTEGER, spans INTEGER, bytes INTEGER);
INSERT INTO total VALUES (0, 0, 0);
"""


class ForeignFile(Exception):
    """A database, and somebody else's: it must stay as it is."""


def opened(path: Path) -> sqlite3.Connection:
    """A connection to write with, for whichever thread has it; the file is made if need be, for its owner's eyes.

    What cannot be read is set aside. Raises sqlite3.Error, OSError and ForeignFile.
    """
    # Only one that is new: to close a file that SQLite has open elsewhere in this process would give up its locks.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = connected(path)
    try:
        if _prepared(connection):
            return connection
    except sqlite3.Error as error:
        if not is_unreadable(error):
            connection.close()
            raise
    except BaseException:
        connection.close()
        raise
    connection.close()
    set_aside(path)
    return opened(path)


def connected(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there, without a look at it. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write in one go, before or after every other process, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def shorten_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Empty the journal once it is long: where several write at once SQLite rarely finds the moment to begin it anew.

    Whoever writes meanwhile waits; if somebody reads for too long, the next write tries again.
    """
    if _size(path.with_name(f"{path.name}-wal")) > 2 * _JOURNAL_BYTES:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def set_aside(path: Path) -> None:
    """Give the file another name, and with it what SQLite keeps beside it. Raises OSError."""
    aside = path.with_name(f"{path.name}.unreadable")
    for suffix in _SIDE_FILES:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    _log.warning("the file of spans cannot be read, a new one is begun", file=str(path), kept_as=str(aside))


def is_unreadable(error: sqlite3.Error) -> bool:
    """Whether it says that the file is damaged, or no database at all."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _prepared(connection: sqlite3.Connection) -> bool:
    """Whether it can be written to now; not if its layout is another version's."""
    # Looked at first: somebody else's database keeps its journal as it is.
    if _version(connection) not in {None, _VERSION}:
        return False
    connection.execute("PRAGMA journal_mode=WAL")
    # A power cut may cost the last spans, and never the file.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_BYTES}")
    with transaction(connection):
        if _version(connection) is None:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        _add_tenants(connection)
    return True


def _add_tenants(connection: sqlite3.Connection) -> None:
    """Note with each trace whose it is, also in files of before. Whoever does not know of that goes on beside it."""
    if "tenant" not in {row[1] for row in connection.execute("PRAGMA table_info(traces)")}:
        connection.execute("ALTER TABLE traces ADD COLUMN tenant TEXT NOT NULL DEFAULT ''")
    connection.execute("CREATE INDEX IF NOT EXISTS traces_by_tenant ON traces (tenant, told)")


def _version(connection: sqlite3.Connection) -> int | None:
    """The layout's version; None for an empty file. Raises ForeignFile."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        return None
    if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION,):
        raise ForeignFile("it is a database that holds something else than spans; choose another file")
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
