"""Pages of documentation as data: their fenced blocks, and what is said of each in comments before it.

    <!-- not run: needs a cluster -->              why nobody runs the block below
    <!-- checked by: tests/e2e/test_demo.py -->    which other test does
    <!-- page checked by: tests/... -->            the same for all blocks of the page
    <!-- without: make up (it runs) -->            a command that is left out, and why; "sudo ..." for all that begin so
    <!-- until: TEXT -->                           it never ends: stopped once it has said this
    <!-- exits: 1 -->                              with which code it ends, where that is not 0
    <!-- file: plan.yaml -->                       the block is also a file, for the commands below

Several may stand before one block, a line each.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.programs import REPOSITORY

_FENCE = re.compile(r"( *)(```+)(\S*)\s*")
_NOTE = re.compile(r"\s*<!-- (not run|checked by|page checked by|without|until|exits|file): (.+?) -->\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the page and line it stands at, its language, its text, and the notes before it."""

    page: str
    line: int
    language: str
    text: str
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, as editors jump to it."""
        return f"{self.page}:{self.line}"

    @property
    def excused(self) -> bool:
        """Whether something else checks it, or says why nobody does."""
        return bool(self.notes.keys() & {"not run", "checked by", "page checked by"})

    def note(self, name: str) -> str:
        """What a note says; empty where there is none."""
        return next(iter(self.notes.get(name, ())), "")


def pages() -> list[str]:
    """Every page that is for people, as paths from the root."""
    folders = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "deploy").rglob("*.md")]
    # Not all that lies below: documents of an example are its data, and packages bring pages of their own.
    found = [*folders, *REPOSITORY.glob("examples/*/README.md")]
    return sorted(str(path.relative_to(REPOSITORY)) for path in found if path.name != "CHANGELOG.md")


def text_of(page: str) -> str:
    """A page as it is written."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The blocks of a page, from top to bottom. Raises ValueError for a fence that is never closed."""
    return list(_blocks(page, text_of(page)))


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for page in pages() for block in blocks(page)]


def parsed(page: str, text: str) -> list[Block]:
    """The blocks of a text that calls itself `page`."""
    return list(_blocks(page, text))


def _blocks(page: str, text: str) -> Iterator[Block]:
    lines = iter(enumerate(text.splitlines(), start=1))
    notes: dict[str, tuple[str, ...]] = {}
    of_page: dict[str, tuple[str, ...]] = {}
    for number, line in lines:
        if note := _NOTE.fullmatch(line):
            of = of_page if note[1].startswith("page") else notes
            of[note[1]] = (*of.get(note[1], ()), note[2])
        elif fence := _FENCE.fullmatch(line):
            indent, marks, language = fence.groups()
            yield Block(page, number, language, _inner(page, number, lines, indent + marks), {**of_page, **notes})
            notes = {}
        elif line.strip():
            notes = {}


def _inner(page: str, start: int, lines: Iterator[tuple[int, str]], closing: str) -> str:
    """What stands between the fences, without the indent of a block within a list."""
    indent = len(closing) - len(closing.lstrip())
    inner: list[str] = []
    for _, line in lines:
        if line.rstrip() == closing:
            return "\n".join(inner) + "\n"
        inner.append(line[indent:] if not line[:indent].strip() else line)
    raise ValueError(f"{page}:{start}: the block is never closed")


def folder_of(page: str) -> Path:
    """The folder that a page's links start from."""
    return (REPOSITORY / page).parent
