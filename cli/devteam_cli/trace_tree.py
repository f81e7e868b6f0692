"""Spans as a tree, also when some of them were never told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from devteam.mesh import names
from devteam.traces import Span

# The two notes on spans without a known parent.
NEVER_TOLD = "its parent was never told: the process died or still runs"
FROM_OUTSIDE = "its parent is not kept here: whoever asked keeps spans elsewhere"


@dataclass(slots=True)
class Branch:
    """A span, and what happened because of it."""

    span: Span
    children: list["Branch"] = field(default_factory=list)
    # What is to be said of its place in the tree.
    note: str = ""

    def spans(self) -> Iterator[Span]:
        """It and all below it."""
        open_branches = [self]
        while open_branches:
            branch = open_branches.pop()
            yield branch.span
            open_branches += reversed(branch.children)


def grown(spans: Sequence[Span]) -> list[Branch]:
    """The trees of these spans, each level by its start.

    A span whose parent is not among them hangs on the nearest one that is: of the same attempt, begun before it and
    ended after that if there is one; else the first root.
    """
    ordered = sorted(spans, key=_age)
    branches = {span.id: Branch(span) for span in ordered}
    tops = _tops(ordered)
    below: dict[str, list[Span]] = {}
    for span in ordered:
        below.setdefault(tops[span.id], []).append(span)
        if tops[span.id] != span.id:
            branches[span.parent_id].children.append(branches[span.id])
    roots: list[Branch] = []
    placed: dict[str, list[Span]] = {}
    # First those that are known to be nobody's children.
    for top in sorted((branches[top] for top in below), key=lambda top: bool(top.span.parent_id)):
        _place(top, roots, branches, placed.get(_task_of(top.span), ()))
        # What lost its parent too is nobody's ancestor, but a brother rather.
        for span in below[top.span.id] if top.note != NEVER_TOLD else ():
            placed.setdefault(_task_of(span), []).append(span)
    for branch in branches.values():
        branch.children.sort(key=lambda child: _age(child.span))
    return roots


def of_task(roots: Sequence[Branch], task_id: str) -> list[Branch]:
    """The topmost branches that are about this task: its attempts."""
    return _topmost(roots, lambda span: _task_of(span) == task_id)


def attempts_alone(roots: Sequence[Branch]) -> list[Branch]:
    """The attempts of all tasks, by their start, without what happened below them."""
    found = _topmost(roots, lambda span: bool(_task_of(span)))
    return [Branch(branch.span, note=branch.note) for branch in sorted(found, key=lambda branch: _age(branch.span))]


def _topmost(roots: Sequence[Branch], wanted: Callable[[Span], bool]) -> list[Branch]:
    found: list[Branch] = []
    open_branches = list(reversed(roots))
    while open_branches:
        branch = open_branches.pop()
        if wanted(branch.span):
            found.append(branch)
        else:
            open_branches += reversed(branch.children)
    return found


def _age(span: Span) -> tuple[datetime, datetime, str]:
    return span.start, span.end, span.id


def _tops(spans: Sequence[Span]) -> dict[str, str]:
    """For each span the farthest ancestor that is known, by their ids; where parents go in circles, one of them."""
    parents = {span.id: span.parent_id for span in spans}
    tops: dict[str, str] = {}
    for span in spans:
        way: dict[str, None] = {}
        here = span.id
        while here not in tops and here not in way and parents[here] in parents:
            way[here] = None
            here = parents[here]
        top = tops.get(here, here)
        tops |= dict.fromkeys([*way, here], top)
    return tops


def _place(top: Branch, roots: list[Branch], branches: Mapping[str, Branch], of_its_task: Sequence[Span]) -> None:
    """Put what has no known parent where it belongs, and say so."""
    if not top.span.parent_id:
        roots.append(top)
    elif not roots:
        top.note = FROM_OUTSIDE
        roots.append(top)
    else:
        top.note = NEVER_TOLD
        nearest = _nearest(top.span, of_its_task) if _task_of(top.span) else None
        (branches[nearest.id] if nearest else roots[0]).children.append(top)


def _nearest(orphan: Span, known: Sequence[Span]) -> Span | None:
    """The last of its attempt that began before it, and had not ended yet if there is such a one."""
    attempt = orphan.attributes.get(names.ATTEMPT)
    before = [span for span in known if span.start <= orphan.start and span.attributes.get(names.ATTEMPT) == attempt]
    return max(before, key=lambda span: (span.end >= orphan.start, _age(span)), default=None)


def _task_of(span: Span) -> str:
    return span.attributes.get(names.TASK_ID, "")
