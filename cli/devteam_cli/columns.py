"""Rows under titles that fit any width: columns give way in turn, and the last one is cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devteam_cli.render import STYLES
from devteam_cli.text import printable

if TYPE_CHECKING:
    from rich.text import Text

_GAP = 2
# What is left of the last column at least; else another one gives way first.
_LAST = 30


@dataclass(frozen=True, slots=True)
class Column:
    """A title, and when the column gives way: those of the highest `rank` first, those of rank 0 never."""

    title: str
    rank: int = 0
    right: bool = False


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> "list[Text]":
    """The titles and the rows, each on a line of at most `width` cells; a column without any content is left out."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    shown = [[" ".join(printable(cell).split()) for cell in row] for row in rows]
    titles = [column.title for column in columns]
    contents = [max((cell_len(row[at]) for row in shown), default=0) for at in range(len(columns))]
    widths = [content and max(content, cell_len(title)) for content, title in zip(contents, titles, strict=True)]
    kept = _kept(columns, widths, width)

    def line(row: Sequence[str], style: str) -> Text:
        text = Text(style=style, no_wrap=True)
        for at in kept:
            cell, room = row[at], widths[at]
            padded = " " * (room - cell_len(cell)) + cell if columns[at].right else set_cell_size(cell, room)
            text.append(padded, "" if style else STYLES.get(cell, ""))
            text.append(" " * _GAP)
        text.rstrip()
        text.truncate(width, overflow="ellipsis")
        return text

    return [line(titles, "bold"), *(line(row, "") for row in shown)]


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The columns that stay, by their places."""
    kept = [at for at in range(len(columns)) if widths[at]]
    while sum(_needed(widths, at, at == kept[-1]) for at in kept) > width:
        rank = max(columns[at].rank for at in kept)
        if not rank:
            break
        kept.remove(next(at for at in kept if columns[at].rank == rank))
    return kept


def _needed(widths: Sequence[int], at: int, last: bool) -> int:  # noqa: FBT001 - a property of the place
    return min(widths[at], _LAST) if last else widths[at] + _GAP
