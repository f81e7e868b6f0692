"""The order of steps. Runs inside the workflow as well: deterministic, and of the standard library only."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


def ready(depends_on: Mapping[str, Sequence[str]], started: Collection[str], succeeded: Collection[str]) -> list[str]:
    """Steps that are not started and whose dependencies have all succeeded, in the order of the mapping.

    Once nothing is ready and nothing runs, whatever has not started never will: a step upstream did not succeed.
    """
    begun, done = set(started), set(succeeded)
    return [step for step, needs in depends_on.items() if step not in begun and done.issuperset(needs)]


def duplicates(ids: Sequence[str]) -> dict[int, int]:
    """Positions of ids that were there before, and the position where each was first.

    Ids that look the same are the same: they are compared in Unicode's composed form.
    """
    first: dict[str, int] = {}
    again: dict[int, int] = {}
    for position, step in enumerate(ids):
        name = unicodedata.normalize("NFC", step)
        if first.setdefault(name, position) != position:
            again[position] = first[name]
    return again


def cycles(depends_on: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Circles that share no step, each as [a, b, ..., a]: every step depends on the next.

    Steps that depend on themselves and steps that do not exist are passed over.
    """
    left = _known(depends_on)
    while cycle := _cycle(left):
        yield cycle
        left = _known({step: needs for step, needs in left.items() if step not in cycle})


def ancestors(depends_on: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """For every step, the steps that must have succeeded before it starts. Raises graphlib.CycleError."""
    order = list(TopologicalSorter(depends_on).static_order())
    rank = {step: position for position, step in enumerate(order)}
    above: dict[str, set[str]] = {}
    for step in order:
        found: set[str] = set()
        # The latest first: it brings most of the others along, which then cost nothing.
        for need in sorted(depends_on.get(step, ()), key=rank.__getitem__, reverse=True):
            if need not in found:
                found |= above[need]
                found.add(need)
        above[step] = found
    return above


def _known(depends_on: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {step: [n for n in needs if n in depends_on and n != step] for step, needs in depends_on.items()}


def _cycle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """Some circle, told from its first step in the order of the mapping; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]  # the library tells it the other way round, with its first step twice
        order = {step: position for position, step in enumerate(graph)}
        start = circle.index(min(circle, key=order.__getitem__))
        return [*circle[start:], *circle[:start], circle[start]]
    return []
