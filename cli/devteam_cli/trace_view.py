"""A trace as a waterfall: what happened, below what it happened because of, beside a line of time."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from devteam.mesh import names
from devteam.traces import Span
from devteam_cli.trace_facts import brief, facts, failure, goes_back, happenings, line, short_name
from devteam_cli.trace_tree import Branch

if TYPE_CHECKING:
    from rich.text import Text

# Off a terminal: names are written whole, and bars are so many characters.
_FREE_BAR = 40
_DURATION, _SERVICE = 8, 16
# What a terminal must be wide for to show whose spans they are, and when they were.
_WIDE, _NARROW = 80, 44
# Levels of a tree that are drawn; what lies deeper is drawn as if it lay there.
_DEEPEST = 12
_ASKED, _DONE = "StartActivity:", "RunActivity:"


@dataclass(frozen=True, slots=True)
class Layout:
    """How many columns each part has; 0: left out. Without a `width`, lines may be as long as need be."""

    name: int
    service: int
    bar: int
    width: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    branch: Branch
    # What is drawn before its name, and before the lines below it.
    head: str
    below: str


def waterfall(roots: Sequence[Branch], width: int = 0) -> "list[Text]":
    """The lines of a waterfall, at most `width` columns; 0: as wide as need be."""
    rows = list(_rows(roots))
    if not rows:
        return []
    layout = _layout(rows, width)
    known = {row.branch.span.id: row.branch.span for row in rows}
    begin = min(span.start for span in known.values())
    whole = max(span.end for span in known.values()) - begin
    return [text for row in rows for text in (_line(row, layout, begin, whole), *_notes(row, layout, known))]


def heading(trace_id: str, spans: Sequence[Span]) -> str:
    """How much there is, how long it took, and who took part."""
    took = max(span.end for span in spans) - min(span.start for span in spans)
    services = sorted({line(span.service) or "?" for span in spans})
    count = "1 span" if len(spans) == 1 else f"{len(spans)} spans"
    return f"trace {line(trace_id)}: {count} in {brief(took)}, from {' and '.join(services)}"


def _rows(roots: Sequence[Branch]) -> Iterator[_Row]:
    # By hand, and not by recursion: a trace may be deeper than Python's stack.
    waiting = [(branch, "", "", 0) for branch in reversed(roots)]
    while waiting:
        branch, head, below, depth = waiting.pop()
        branch = _what_came_of(branch)
        yield _Row(branch, head, below + ("│  " if branch.children and depth < _DEEPEST else "   "))
        last = branch.children[-1] if branch.children else None
        for child in reversed(branch.children):
            if depth < _DEEPEST:
                end = child is last
                waiting.append((child, below + ("└─ " if end else "├─ "), below + ("   " if end else "│  "), depth + 1))
            else:
                waiting.append((child, head, below, depth))


def _what_came_of(branch: Branch) -> Branch:
    """Temporal notes the moment in which it asks for something: it is drawn as what was done then, if that was told."""
    asked = branch.span.name.removeprefix(_ASKED)
    if asked == branch.span.name or len(branch.children) != 1 or branch.span.failed or branch.note:
        return branch
    (done,) = branch.children
    return done if done.span.name == f"{_DONE}{asked}" else branch


def _layout(rows: Sequence[_Row], width: int) -> Layout:
    from rich.cells import cell_len

    longest = max(cell_len(_title(row)) for row in rows)
    services = max(cell_len(line(row.branch.span.service)) for row in rows)
    if not width:
        return Layout(longest, services, _FREE_BAR)
    service = min(services, _SERVICE) if width >= _WIDE else 0
    free = width - _DURATION - 1 - (service + 1 if service else 0)
    if width < _NARROW:
        return Layout(max(free - 1, 1), 0, 0, width)
    name = min(longest, free * 3 // 5)
    return Layout(name, service, free - name - 1, width)


def _title(row: _Row) -> str:
    return f"{row.head}{short_name(row.branch.span)}"


def _line(row: _Row, layout: Layout, begin: datetime, whole: timedelta) -> "Text":
    from rich.text import Text

    span = row.branch.span
    style = "red" if span.failed else ""
    of_bar = style or ("yellow" if span.name == names.SPAN_QUEUE_WAIT else "cyan")
    drawn = Text(no_wrap=True)
    drawn.append(_fitted(_title(row), layout.name), style)
    if layout.service:
        drawn.append(f" {_fitted(line(span.service), layout.service)}", "dim")
    if layout.bar:
        drawn.append(f" {_bar(span, begin, whole, layout.bar)}", of_bar)
    drawn.append(f" {brief(span.duration):>{_DURATION}}", style)
    return drawn


def _bar(span: Span, begin: datetime, whole: timedelta, width: int) -> str:
    if not whole:
        return "━" * width
    start = min(int((span.start - begin) / whole * width), width - 1)
    end = max(round((span.end - begin) / whole * width), start + 1)
    return f"{' ' * start}{'━' * (end - start)}".ljust(width)


def _notes(row: _Row, layout: Layout, known: dict[str, Span]) -> "Iterator[Text]":
    from rich.text import Text

    span = row.branch.span
    notes = [(row.branch.note, "yellow"), (failure(span) and f"error: {failure(span)}", "red")]
    notes.append((" · ".join(facts(span)), "dim"))
    notes += [(told, "dim") for told in happenings(span)]
    notes += [(goes_back(link, known), "dim") for link in span.links]
    for note, style in notes:
        for part in _wrapped(note, layout.width - len(row.below)) if layout.width else [note]:
            if part:
                yield Text.assemble((row.below, ""), (part, style), no_wrap=True)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 16))


def _fitted(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
