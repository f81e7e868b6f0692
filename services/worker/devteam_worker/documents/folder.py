"""A folder of documents on this machine: what lies in it, and what a document says. Nothing outside of it is read."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from devteam_worker.documents.html import Tangled, text_of_html

MAX_BYTES = 5 * 1024 * 1024

_PAGES = frozenset({".html", ".htm", ".xhtml"})
# The end of the year 2199.
_LAST_NS = 7_258_118_399 * 10**9
# Control characters, and bytes that are no UTF-8.
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Text has no NUL, and other files have one early.
_LOOK_BYTES = 8192


class Reason(StrEnum):
    """Why a file is no document."""

    TOO_LARGE = "larger than 5 MiB"
    PDF = "PDF"
    NO_TEXT = "not UTF-8 text"
    TANGLED = "web page of tags without an end"
    UNREADABLE = "cannot be read"


class NoDocument(Exception):
    """The file says nothing that could be searched, for this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class File:
    """A file by its path within the folder ("notes/tides.md"). Equal stamps mean that it has not changed."""

    path: str
    modified_ns: int
    size: int


def moment(nanoseconds: int) -> datetime:
    """When a file was changed, in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


class Folder:
    """A folder, without its hidden parts.

    Links are followed to files within it. Linked folders are not: what they hold of it is there by its own name.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def files(self) -> Iterator[File]:
        """Every file in an order that stays. Raises OSError when the folder itself cannot be read."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            entries, folders = self._entries(folder), []
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif file := self._file(path, entry):
                    yield file
            waiting += reversed(folders)

    def text(self, path: str) -> str:
        """What a document says, whatever its lines end in. Raises NoDocument."""
        place = self.root / path
        try:
            with open(place, "rb", opener=self._within) as file:
                data = _read(file)
        except OSError:
            raise NoDocument(Reason.UNREADABLE) from None
        text = _decoded(data)
        try:
            return text_of_html(text) if place.suffix.lower() in _PAGES else text
        except Tangled:
            raise NoDocument(Reason.TANGLED) from None

    def _within(self, place: str, flags: int) -> int:
        """Open a file. Raises OSError for one outside, and for one that leads there by the time it is opened."""
        real = Path(os.path.realpath(place))
        if not real.is_relative_to(self.root):
            raise PermissionError(place)
        opened = os.open(self.root, flags)
        # Step by step: whoever turns a part of the way into a link now finds that it is not followed.
        for part in real.relative_to(self.root).parts:
            opened = _below(opened, part, flags)
        return opened

    def _entries(self, folder: str) -> list["os.DirEntry[str]"]:
        try:
            with os.scandir(self.root / folder) as found:
                return sorted((entry for entry in found if _shown(entry.name)), key=lambda entry: entry.name)
        except OSError:
            if not folder:
                raise
            return []

    def _file(self, path: str, entry: "os.DirEntry[str]") -> File | None:
        try:
            if entry.is_symlink() and not self._inside(Path(entry.path)):
                return None
            status = entry.stat()
        except OSError:
            return None
        # Clocks of other machines write years that no database takes.
        modified_ns = min(max(status.st_mtime_ns, 0), _LAST_NS)
        return File(path, modified_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None

    def _inside(self, place: Path) -> bool:
        return Path(os.path.realpath(place)).is_relative_to(self.root)


def _shown(name: str) -> bool:
    """Whether a name is neither hidden nor one that no line of text could hold."""
    return not name.startswith(".") and not _UNSPEAKABLE.search(name)


def _below(folder: int, name: str, flags: int) -> int:
    """The descriptor of what a folder holds, in place of the folder's own, which is closed."""
    try:
        # At once: it may have become a pipe since it was listed, and would be waited on for ever.
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _read(file: BinaryIO) -> bytes:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NoDocument(Reason.UNREADABLE)
    head = file.read(_LOOK_BYTES)
    if head.startswith(b"%PDF-"):
        raise NoDocument(Reason.PDF)
    if b"\0" in head:
        raise NoDocument(Reason.NO_TEXT)
    if status.st_size > MAX_BYTES:
        raise NoDocument(Reason.TOO_LARGE)
    return head + file.read(MAX_BYTES - len(head))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise NoDocument(Reason.NO_TEXT) from None
