"""A page of docs/ as data: its commands, what it shows of their answers, and what it keeps of them for later ones."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from tests.e2e.programs import REPOSITORY

PAGE = REPOSITORY / "docs" / "grpc.md"

_FENCE = "```"
_KEEP = re.compile(r"<!-- keep ([a-z_.]+) as ([A-Z]+) -->")
_ANYTHING = "..."


@dataclass(slots=True)
class Command:
    """A block of shell: where it stands, what the page shows of its answers, and what it keeps (variable -> path)."""

    line: int
    text: str
    shown: list[Any] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def is_for(self, tool: str) -> bool:
        """Whether somebody who has this tool runs the block."""
        return tool in self.text or not re.search("grpcurl|buf curl", self.text)


def commands(page: Path = PAGE) -> list[Command]:
    """Every block of shell, in the order of the page.

    Blocks without a word between them are a group: they do the same with different tools. What is shown or kept next
    belongs to all of them.
    """
    found: list[Command] = []
    group: list[Command] = []
    open_group = False
    lines = iter(enumerate(page.read_text().splitlines(), start=1))
    for number, line in lines:
        if line.startswith(_FENCE):
            block = "\n".join(inner for _, inner in takewhile(lambda numbered: numbered[1] != _FENCE, lines))
            if line == f"{_FENCE}sh":
                group = [*group, Command(number, block)] if open_group else [Command(number, block)]
                found.append(group[-1])
            elif line == f"{_FENCE}json":
                for command in group:
                    command.shown = documents(block)
            open_group = line == f"{_FENCE}sh"
        elif keep := _KEEP.fullmatch(line):
            for command in group:
                command.kept[keep[2]] = keep[1]
        elif line:
            open_group = False
    return found


def documents(text: str) -> list[Any]:
    """The JSON documents in a text, one after the other, with their keys in snake_case."""
    decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: {_snake(key): value for key, value in pairs})
    found = []
    rest = text.lstrip()
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found


def shows(shown: Any, actual: Any) -> bool:
    """Whether `actual` has all that is shown; "..." stands for anything, and lists may have more between."""
    if isinstance(shown, dict):
        return isinstance(actual, dict) and all(key in actual and shows(shown[key], actual[key]) for key in shown)
    if isinstance(shown, list):
        return isinstance(actual, list) and _in_order(shown, actual)
    return shown in (_ANYTHING, actual)


def at(path: str, found: Sequence[Any]) -> str:
    """What stands at a dotted path in the first document."""
    value = found[0]
    for key in path.split("."):
        value = value[key]
    return str(value)


def _in_order(shown: list[Any], actual: list[Any]) -> bool:
    rest = iter(actual)
    return all(any(shows(item, candidate) for candidate in rest) for item in shown)


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
