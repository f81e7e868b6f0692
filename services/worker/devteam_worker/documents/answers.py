"""What a model is told of documents: every piece with where it stands and how old it is."""

from collections.abc import Sequence
from datetime import datetime

from devteam_worker.documents.folder import File, moment
from devteam_worker.documents.index import Hit
from devteam_worker.tools.base import ToolError


def found(name: str, hits: Sequence[Hit], documents: int) -> str:
    """Passages, the best first; without any, out of how many documents."""
    if not hits:
        return f"Nothing fits in {name} ({_count(documents, 'document')}). Try other words."
    parts = [f"{_count(len(hits), 'passage')} of {name}, best first."]
    parts += (f"[{number}] {_place(hit)}\n{hit.text}" for number, hit in enumerate(hits, 1))
    return "\n\n".join(parts)


def excerpt(name: str, file: File, text: str, offset: int, lines: int) -> str:
    """Lines of a document from `offset` on, counted from 1. Raises ToolError beyond its end."""
    # Lines as passages count them: other marks than this one end none.
    all_lines = text.removesuffix("\n").split("\n") if text.strip() else []
    shown = all_lines[offset - 1 : offset - 1 + lines]
    if all_lines and not shown:
        raise ToolError(f"offset: {file.path} has {_count(len(all_lines), 'line')}.")
    last = offset - 1 + len(shown)
    place = f"lines {offset}-{last} of {len(all_lines)}" if shown else "empty"
    more = f"; the next begin at offset {last + 1}" if last < len(all_lines) else ""
    return "\n".join([f"{file.path} of {name}, {place}, changed {_day(moment(file.modified_ns))}{more}", "", *shown])


def listing(name: str, files: Sequence[File], skip: int, *, more: bool) -> str:
    """Names of documents, of which `skip` came before."""
    if not files:
        return f"There are no {'more ' if skip else ''}such documents in {name}."
    rest = f"; more with skip {skip + len(files)}" if more else ""
    lines = (f"{file.path} ({_count(file.size, 'byte')}, changed {_day(moment(file.modified_ns))})" for file in files)
    return "\n".join([f"{_count(len(files), 'document')} of {name}{rest}", "", *lines])


def _place(hit: Hit) -> str:
    lines = f"line {hit.first_line}" if hit.first_line == hit.last_line else f"lines {hit.first_line}-{hit.last_line}"
    return f"{hit.path}, {lines} (score {hit.score:.3g}, changed {_day(hit.modified)})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _day(when: datetime) -> str:
    return when.strftime("%Y-%m-%d")
