"""The spans of a trace by one clock: what a machine with a wrong one tells is moved to where it must have been.

Nothing begins before what it is part of, and what another program waited for has ended before that. A machine whose
times do not contradict this keeps them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from devteam.mesh import names
from devteam.traces import Span, SpanKind
from devteam_cli.text import span as length_of
from devteam_cli.trace_facts import line

_HOST, _INSTANCE = "host.name", "service.instance.id"
# Whose instances have names that people know.
_WORKER = "devteam-worker"
# Whose clock is taken for the right one, if they took part.
_RIGHT = ("devteam-planner", "devteam", "devteam-router")
# Clocks are never quite the same: fewer seconds are not told.
_TOLD = 1.0

# By how many seconds the spans of a clock may have to be moved: from, to. It may be a contradiction.
_Room = tuple[float, float]
_ANY: _Room = (-inf, inf)
# Of no attempt in particular.
_WHOLE = ("", "")


@dataclass(frozen=True, slots=True)
class OneClock:
    """The spans as they happened by one clock, and a sentence for each machine whose clock is wrong."""

    spans: tuple[Span, ...]
    notes: tuple[str, ...]


def by_one_clock(spans: Sequence[Span]) -> OneClock:
    """The spans of a trace, moved no farther than it takes to make their order a possible one."""
    moved = _reached(_right(spans), _rooms(spans))
    moved |= _left_over(spans, moved)
    notes = [_note(clock, spans, by) for clock, by in sorted(moved.items()) if abs(by) >= _TOLD]
    return OneClock(tuple(_moved(span, moved[_clock(span)]) for span in spans), tuple(notes))


def _clock(span: Span) -> str:
    """What goes by one clock: a machine, or a process that does not say on which it runs."""
    return span.attributes.get(_HOST) or span.attributes.get(_INSTANCE) or span.service


def _right(spans: Sequence[Span]) -> str:
    """The clock by which all others are judged."""
    first = sorted(spans, key=lambda span: (bool(span.parent_id), span.start))
    found = [span for name in _RIGHT for span in first if span.service == name]
    return next(map(_clock, [*found, *first]), "")


def _rooms(spans: Sequence[Span]) -> Mapping[str, Mapping[str, _Room]]:
    """For each two clocks of which one's spans are part of the other's how far they are apart; both ways."""
    rooms: defaultdict[str, dict[str, _Room]] = defaultdict(dict)
    known = {span.id: span for span in spans}
    chosen = {span.parent_id: span.end for span in spans if span.name == names.SPAN_QUEUE_WAIT}
    for child in spans:
        parent = known.get(child.parent_id, child)
        here, there = _clock(parent), _clock(child)
        if here != there:
            # A worker has a run once it was chosen.
            begin = chosen.get(parent.id, parent.start) if child.kind is SpanKind.CONSUMER else parent.start
            room = _room(child, begin, parent.end if _is_awaited(child, parent) else None)
            rooms[here][there] = _both(room, rooms[here].get(there, _ANY))
            rooms[there][here] = (-rooms[here][there][1], -rooms[here][there][0])
    return rooms


def _room(span: Span, begin: datetime, end: datetime | None) -> _Room:
    """What it takes to have a span between two moments."""
    return (begin - span.start).total_seconds(), inf if end is None else (end - span.end).total_seconds()


def _both(one: _Room, other: _Room) -> _Room:
    return max(one[0], other[0]), min(one[1], other[1])


def _nearest(room: _Room, moved: float = 0.0) -> float:
    """The shortest move, if what it is relative to is moved itself."""
    least, most = room[0] + moved, room[1] + moved
    return 0.0 if least <= 0 <= most else min(least, most, key=abs)


def _is_awaited(child: Span, parent: Span) -> bool:
    """Whether the child ended before its parent, by all that is told.

    Not if it took longer, or the parent ended badly; nor where one program goes on elsewhere with what it began here.
    """
    is_part = child.duration <= parent.duration and parent.kind is not SpanKind.PRODUCER
    return is_part and parent.service != child.service and parent.attributes.get(names.RPC_STATUS, "OK") == "OK"


def _reached(right: str, rooms: Mapping[str, Mapping[str, _Room]]) -> dict[str, float]:
    """By how many seconds the spans of each clock are to be moved that is known to be apart from the right one."""
    moved, reached = {right: 0.0}, [right]
    for here in reached:
        for there, room in rooms.get(here, {}).items():
            if there not in moved:
                moved[there] = _nearest(room, moved[here])
                reached.append(there)
    return moved


def _left_over(spans: Sequence[Span], moved: Mapping[str, float]) -> dict[str, float]:
    """The same for all others, whose parents were never told: they began while their attempt, or the trace, went on."""
    extents: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for span in (_moved(span, moved[_clock(span)]) for span in spans if _clock(span) in moved):
        for whole in {_attempt(span), _WHOLE}:
            begin, end = extents.get(whole, (span.start, span.end))
            extents[whole] = min(begin, span.start), max(end, span.end)
    rooms: dict[str, _Room] = {}
    for span in spans:
        if (clock := _clock(span)) not in moved:
            begin, end = extents.get(_attempt(span), extents[_WHOLE])
            room = _room(span, begin, end if span.start > end else None)
            rooms[clock] = _both(room, rooms.get(clock, _ANY))
    return {clock: _nearest(room) for clock, room in rooms.items()}


def _attempt(span: Span) -> tuple[str, str]:
    return span.attributes.get(names.TASK_ID, ""), span.attributes.get(names.ATTEMPT, "")


def _moved(span: Span, seconds: float) -> Span:
    if not seconds:
        return span
    by = timedelta(seconds=seconds)
    events = tuple(replace(event, time=event.time + by) for event in span.events)
    return replace(span, start=span.start + by, end=span.end + by, events=events)


def _note(clock: str, spans: Iterable[Span], by: float) -> str:
    """Whose clock is wrong, by the id of its worker if there is one there."""
    workers = (span for span in spans if span.service == _WORKER and _clock(span) == clock)
    there = {span.attributes.get(_INSTANCE, "") for span in workers} - {""}
    name = there.pop() if len(there) == 1 else clock
    return f"clock of {line(name)} is {length_of(timedelta(seconds=abs(by)))} {'behind' if by > 0 else 'ahead'}"
