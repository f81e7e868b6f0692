"""The SQLite file that an index is kept in."""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from devteam_worker.tools.base import ToolError

_log = structlog.get_logger()

Connect = Callable[..., sqlite3.Connection]

# Raised with every change of what follows: a file of another number is made anew.
_VERSION = 1
_SCHEMA = """
CREATE TABLE documents (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, modified_ns INTEGER NOT NULL, size INTEGER NOT NULL,
  is_text INTEGER NOT NULL
);
CREATE TABLE passages (
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first_line INTEGER NOT NULL, last_line INTEGER NOT NULL
);
CREATE INDEX passages_of_document ON passages (document);
CREATE VIRTUAL TABLE words USING fts5 (text, place, tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 0.5)');
"""

# Seconds to wait for another worker of this machine that writes into the same file.
_PATIENCE = 30.0


def open_store(file: Path, connect: Connect = sqlite3.connect) -> sqlite3.Connection:
    """The file, made or made anew where need be. Raises ToolError with what its owner could do."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(file):
            return _mended(file, connect)
    except (sqlite3.Error, OSError) as error:
        if "fts5" in str(error):
            raise ToolError("Documents cannot be searched: SQLite of this Python lacks FTS5.") from None
        _log.warning("an index cannot be kept", file=str(file), why=str(error))
        raise ToolError(f"The index of the documents cannot be kept in {file.parent}; see the worker's log.") from None


def connected(file: Path, connect: Connect = sqlite3.connect) -> sqlite3.Connection:
    """One more way into a file that was opened."""
    return connect(file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(store: sqlite3.Connection) -> Iterator[None]:
    """All of the block's changes, or none."""
    store.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        store.execute("ROLLBACK")
        raise
    store.execute("COMMIT")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Nobody else of this machine makes the file meanwhile: SQLite itself refuses to wait for that."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mended(file: Path, connect: Connect) -> sqlite3.Connection:
    try:
        return _prepared(file, connect)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        _log.warning("an index was broken and is made anew", file=str(file))
        _remove(file)
        return _prepared(file, connect)


def _prepared(file: Path, connect: Connect) -> sqlite3.Connection:
    store = connected(file, connect)
    try:
        store.execute("PRAGMA journal_mode = WAL")
        # Lost with a power cut: at most what the next look at the folder finds again.
        store.execute("PRAGMA synchronous = NORMAL")
        _check(store)
        if _version(store) != _VERSION:
            with transaction(store):
                _make(store)
    except BaseException:
        store.close()
        raise
    return store


def _check(store: sqlite3.Connection) -> None:
    """Raises DatabaseError for damage anywhere, which a search would meet later. About a millisecond a megabyte."""
    [found] = store.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _version(store: sqlite3.Connection) -> int:
    return int(store.execute("PRAGMA user_version").fetchone()[0])


def _make(store: sqlite3.Connection) -> None:
    for table in ("words", "passages", "documents"):
        store.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _SCHEMA.split(";\n"):
        store.execute(statement)
    store.execute(f"PRAGMA user_version = {_VERSION}")


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + suffix).unlink()
