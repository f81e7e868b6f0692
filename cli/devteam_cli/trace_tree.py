"""Spans as a tree, also when some of them were never told."""

from collections.abc import Iterator, Sequence
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

    A span whose parent is not among them hangs on the nearest one that is: of the same attempt or task, begun before it
    and ended after that if there is one; else the first root.
    """
    ordered = sorted(spans, key=_age)
    branches = {span.id: Branch(span) for span in ordered}
    tops = _tops(ordered)
    roots: list[Branch] = []
    for span in ordered:
        if tops[span.id] != span.id:
            branches[span.parent_id].children.append(branches[span.id])
    placed: set[str] = set()
    # First those that are known to be nobody's children.
    for span in sorted((span for span in ordered if tops[span.id] == span.id), key=lambda span: bool(span.parent_id)):
        branch = branches[span.id]
        parent = _nearest(span, [known for known in ordered if tops[known.id] in placed]) if span.parent_id else None
        if span.parent_id:
            branch.note = NEVER_TOLD if parent else FROM_OUTSIDE
        (branches[parent.id].children if parent else roots).append(branch)
        placed.add(span.id)
    for branch in branches.values():
        branch.children.sort(key=lambda child: _age(child.span))
    return roots


def of_task(roots: Sequence[Branch], task_id: str) -> list[Branch]:
    """The topmost branches that are about this task: its attempts."""
    found: list[Branch] = []
    open_branches = list(reversed(roots))
    while open_branches:
        branch = open_branches.pop()
        if branch.span.attributes.get(names.TASK_ID) == task_id:
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


def _nearest(orphan: Span, known: Sequence[Span]) -> Span | None:
    """The last that began before it of its attempt, else of its task, else the first of all; None if there is none."""
    before = [span for span in known if span.start <= orphan.start]
    for facts in ((names.TASK_ID, names.ATTEMPT), (names.TASK_ID,)):
        like_it = [span for span in before if _alike(span, orphan, facts)]
        around_it = [span for span in like_it if span.end >= orphan.start]
        if like_it:
            return (around_it or like_it)[-1]
    return known[0] if known else None


def _alike(span: Span, other: Span, facts: Sequence[str]) -> bool:
    return all(fact in other.attributes and span.attributes.get(fact) == other.attributes[fact] for fact in facts)
