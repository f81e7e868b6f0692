r"""Prompts with holes: {{input.NAME}}, {{STEP.output}}, and nothing else.

One pattern, one pass, literal insertion: what is put in is never read again, so the output of a model can hold any
number of braces. A backslash before two braces keeps them: \{{ stands for {{.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_HOLE = re.compile(r"\\\{\{|\{\{ *(?P<owner>[A-Za-z0-9_-]+)\.(?P<name>[A-Za-z0-9_-]+) *\}\}|\{\{")
_INPUT = "input"
_OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a template; `name` is the step or the input that it cannot have."""

    reason: str
    message: str
    name: str = ""


def references(text: str) -> list[str]:
    """The steps whose outputs `text` needs, each once, in the order of their first use."""
    return list(dict.fromkeys(hole["owner"] for hole in _holes(text) if hole["owner"] != _INPUT))


def render(text: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """`text` with every hole filled. Raises KeyError for a hole that `flaws` would have reported."""

    def fill(hole: re.Match[str]) -> str:
        if not hole["owner"]:
            return "{{"
        return inputs[hole["name"]] if hole["owner"] == _INPUT else outputs[hole["owner"]]

    return _HOLE.sub(fill, text)


def flaws(text: str, *, steps: Collection[str], ancestors: Collection[str], inputs: Collection[str]) -> Iterator[Flaw]:
    """What is wrong with a template of a step that has these ancestors, in a plan with these steps and inputs.

    Tells the first mistake of syntax, and every name that cannot be had.
    """
    broken = next((hole for hole in _HOLE.finditer(text) if _is_broken(hole)), None)
    if broken is not None:
        yield Flaw("TEMPLATE_SYNTAX", _syntax_message(text, broken.start()))
    for name in dict.fromkeys(hole["name"] for hole in _holes(text) if hole["owner"] == _INPUT):
        if name not in inputs:
            yield Flaw("TEMPLATE_UNKNOWN_INPUT", "is not among the plan's inputs", name)
    for step in references(text):
        if step not in steps:
            yield Flaw("TEMPLATE_UNKNOWN_STEP", "is no step of this plan", step)
        elif step not in ancestors:
            yield Flaw("TEMPLATE_NOT_ANCESTOR", "does not lie upstream: add it to depends_on", step)


def _holes(text: str) -> Iterator[re.Match[str]]:
    return (hole for hole in _HOLE.finditer(text) if hole["owner"] and not _is_broken(hole))


def _is_broken(hole: re.Match[str]) -> bool:
    if hole["owner"]:
        return hole["owner"] != _INPUT and hole["name"] != _OUTPUT
    return hole[0] == "{{"


def _syntax_message(text: str, start: int) -> str:
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    end, nested = text.find("}}", start), text.find("{{", start + 2)
    if end < 0:
        problem = "{{ is never closed"
    elif 0 <= nested < end:
        problem = "{{ stands inside another {{"
    else:
        problem = "only {{input.NAME}} and {{STEP.output}} are understood"
    return f"line {line}, column {column}: {problem}; write \\{{{{ for two literal braces"
