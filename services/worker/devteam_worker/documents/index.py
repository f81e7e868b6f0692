"""What the documents of a folder say, found by words."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeAlias
from unicodedata import normalize

from devteam_worker.documents.folder import File, Folder, NoDocument, Reason, moment
from devteam_worker.documents.passages import Passage, passages
from devteam_worker.documents.query import queries
from devteam_worker.documents.store import Connect, connected, open_store, transaction
from devteam_worker.tools.base import ToolError

MAX_DOCUMENTS = 100_000

# A file, and its passages if it is a document.
_Read: TypeAlias = tuple[File, Sequence[Passage] | None]

# What is read before it is written together: fewer commits, bounded memory.
_PORTION_FILES, _PORTION_BYTES = 256, 4_000_000

_SEARCH = """
WITH best AS (SELECT rowid, text, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?)
SELECT path, first_line, last_line, modified_ns, -rank, text
FROM best JOIN passages ON passages.id = best.rowid JOIN documents ON documents.id = passages.document ORDER BY rank
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and where it stands. Scores are comparable within one search; higher is better."""

    path: str
    first_line: int
    last_line: int
    modified: datetime
    score: float
    text: str


@dataclass(slots=True)
class Changes:
    """What a look at the folder found: documents read (again), those that are gone, files that are none.

    `taken` files were looked at; `full`: the folder holds more, which are left out.
    """

    taken: int = 0
    read: int = 0
    gone: int = 0
    left_out: dict[str, Reason] = field(default_factory=dict)
    full: bool = False


class DocumentIndex:
    """Kept in `file`, so that a start reads only what has changed since. Workers of a machine may share it.

    Everything here blocks, so it belongs in a thread.
    """

    def __init__(
        self, root: Path, file: Path, *, max_documents: int = MAX_DOCUMENTS, connect: Connect = sqlite3.connect
    ) -> None:
        self._root = root
        self._file = file
        self._max_documents = max_documents
        self._connect = connect
        self._store: sqlite3.Connection | None = None

    def open(self) -> None:
        """Make ready for searches. Raises ToolError when there is no such folder, or the index cannot be kept."""
        if not os.path.isdir(self._root):  # noqa: PTH112 - Path.is_dir raises where it may not look
            raise ToolError(f"There is no folder {self._root}, or the worker may not look at it.")
        self._folder = Folder(self._root)
        self._store = open_store(self._file, self._connect)

    def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            self._store.close()

    def refresh(self, stopped: Callable[[], bool] = lambda: False) -> Changes:
        """Read what is new or has changed, and forget what is gone; end early once `stopped`.

        Raises OSError when the folder cannot be read: then nothing is forgotten.
        """
        files = list(islice(self._folder.files(), self._max_documents + 1))
        present = {file.path: file for file in files[: self._max_documents]}
        changes = Changes(taken=len(present), full=len(files) > len(present))
        known = self._known()
        if gone := known.keys() - present.keys():
            self._forget(gone)
            changes.gone = len(gone)
        new = (file for path, file in present.items() if known.get(path) != file)
        for portion in _portions(self._read(takewhile(lambda _: not stopped(), new), changes)):
            self._keep(portion)
        return changes

    def count(self) -> int:
        """How many documents can be searched."""
        with self._reader() as store:
            return int(store.execute("SELECT count(*) FROM documents WHERE is_text").fetchone()[0])

    def search(self, query: str, limit: int) -> list[Hit]:
        """The passages that fit best: those with all of the words, else those with any."""
        with self._reader() as store:
            for words in queries(query):
                if found := store.execute(_SEARCH, (words, limit)).fetchall():
                    return [Hit(path, first, last, moment(ns), *rest) for path, first, last, ns, *rest in found]
        return []

    def names(self, under: str, offset: int, limit: int) -> list[File]:
        """Documents in the order of their paths, those that begin with `under`."""
        with self._reader() as store:
            rows = store.execute(
                "SELECT path, modified_ns, size FROM documents WHERE is_text AND substr(path, 1, ?) = ? "
                "ORDER BY path LIMIT ? OFFSET ?",
                (len(under), under, limit, offset),
            )
            return [File(*row) for row in rows]

    def text(self, document: str) -> tuple[File, str] | None:
        """A document as it is now; None for one that no search could find."""
        file = self._named(document)
        if file is None:
            return None
        try:
            return file, self._folder.text(file.path)
        except NoDocument:
            return None

    def _known(self) -> dict[str, File]:
        rows = self._writer.execute("SELECT path, modified_ns, size FROM documents")
        return {path: File(path, *stamp) for path, *stamp in rows}

    def _read(self, files: Iterable[File], changes: Changes) -> Iterator[_Read]:
        for file in files:
            try:
                pieces = list(passages(self._folder.text(file.path)))
            except NoDocument as none:
                changes.left_out[file.path] = none.reason
                # Kept as well, so that it is not read each time; but permissions change without a trace.
                yield (replace(file, size=-1) if none.reason is Reason.UNREADABLE else file), None
            else:
                changes.read += 1
                yield file, pieces

    def _forget(self, paths: AbstractSet[str]) -> None:
        with transaction(self._writer):
            for path in paths:
                _forget(self._writer, path)

    def _keep(self, portion: Iterable[_Read]) -> None:
        with transaction(self._writer):
            for file, pieces in portion:
                _forget(self._writer, file.path)
                _keep(self._writer, file, pieces)

    def _named(self, document: str) -> File | None:
        # Two ways to write one name: what a file system keeps need not be what a model writes.
        spellings = [normalize("NFC", document), normalize("NFD", document), document]
        with self._reader() as store:
            row = store.execute(
                "SELECT path, modified_ns, size FROM documents WHERE is_text AND path IN (?, ?, ?)", spellings
            ).fetchone()
        return File(*row) if row else None

    @property
    def _writer(self) -> sqlite3.Connection:
        assert self._store is not None, "the index was not opened"
        return self._store

    def _reader(self) -> "closing[sqlite3.Connection]":
        # One for each call: searches run side by side, and while the folder is read.
        return closing(connected(self._file, self._connect))


def _portions(reads: Iterable[_Read]) -> Iterator[list[_Read]]:
    portion: list[_Read] = []
    size = 0
    for file, pieces in reads:
        portion.append((file, pieces))
        size += file.size
        if len(portion) >= _PORTION_FILES or size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _forget(store: sqlite3.Connection, path: str) -> None:
    found = store.execute("SELECT id FROM documents WHERE path = ?", (path,)).fetchone()
    if found is None:
        return
    store.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", found)
    store.execute("DELETE FROM passages WHERE document = ?", found)
    store.execute("DELETE FROM documents WHERE id = ?", found)


def _keep(store: sqlite3.Connection, file: File, pieces: Sequence[Passage] | None) -> None:
    document = store.execute(
        "INSERT INTO documents (path, modified_ns, size, is_text) VALUES (?, ?, ?, ?)",
        (file.path, file.modified_ns, file.size, pieces is not None),
    ).lastrowid
    last = store.execute("SELECT ifnull(max(id), 0) FROM passages").fetchone()[0]
    numbered = list(enumerate(pieces or (), last + 1))
    store.executemany(
        "INSERT INTO passages VALUES (?, ?, ?, ?)",
        ((number, document, piece.first_line, piece.last_line) for number, piece in numbered),
    )
    store.executemany(
        "INSERT INTO words (rowid, text, place) VALUES (?, ?, ?)",
        ((number, piece.text, f"{file.path} {piece.heading}") for number, piece in numbered),
    )
