"""Cuts a document into passages: what a search finds and a model reads at a time."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

# Characters. A passage ends at the first heading, else the last good place between the two.
_LEAST, _MOST = 400, 1200
# What two passages share where the text was cut within a paragraph.
_OVERLAP = 100

_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*)$", re.MULTILINE)
_SOLID = re.compile(r"\S")
# The good places, best first: between paragraphs, lines, sentences, words.
_BREAKS = ("\n\n", "\n", ". ", " ")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. Lines are counted from 1, both included; `heading` is the one that it stands under."""

    first_line: int
    last_line: int
    text: str
    heading: str = ""


def passages(text: str) -> Iterator[Passage]:
    """The passages of a text in their order; together they hold all of it but blank lines."""
    text = text.rstrip()
    headings = [(match.start(), match[1].strip()) for match in _HEADING.finditer(text)]
    starts = [start for start, _ in headings]
    line, counted = 1, 0
    for start, end in _spans(text, starts):
        line, counted = line + text.count("\n", counted, start), start
        piece = text[start:end].rstrip()
        above = bisect_right(starts, start)
        yield Passage(line, line + piece.count("\n"), piece, headings[above - 1][1] if above else "")


def _spans(text: str, headings: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    while solid := _SOLID.search(text, start):
        start = solid.start()
        end, whole = _end(text, start, headings)
        yield start, end
        start = end if whole else _resumed(text, end)


def _end(text: str, start: int, headings: list[int]) -> tuple[int, bool]:
    """Where the passage ends that begins at `start`, and whether a paragraph ends there, too."""
    most = min(start + _MOST, len(text))
    after = bisect_right(headings, start + _LEAST)
    if after < len(headings) and headings[after] < most:
        return headings[after], True
    if most == len(text):
        return most, True
    for mark in _BREAKS:
        found = text.rfind(mark, start + _LEAST, most)
        if found >= 0:
            return found + len(mark), mark == "\n\n"
    return most, False


def _resumed(text: str, end: int) -> int:
    """Where the next passage begins: a little earlier, so that what was cut apart is found as well."""
    for mark in ("\n", " "):
        found = text.find(mark, end - _OVERLAP, end - 1)
        if found >= 0:
            return found + 1
    return end
