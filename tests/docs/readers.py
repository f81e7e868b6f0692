"""What reads a block that is no program: each language by those whom it is meant for. They raise what they refuse."""

import json
import re
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from devteam_cli.scenario_file import read_scenario
from devteam_worker.settings import load_settings
from ruamel.yaml import YAML

from devteam.plans import plan_from_mapping
from tests.docs.blocks import Block
from tests.e2e.programs import REPOSITORY
from tests.fakes.promql import understood

# Pictures, answers, what somebody sees: there is nothing that could read them.
FOR_PEOPLE = frozenset({"text"})


def read(block: Block, folder: Path) -> None:
    """Have a block read by whom it is meant for; `folder` is for files on the way. Raises what they refuse."""
    _READERS[block.language](block, folder)


def has_reader(block: Block) -> bool:
    """Whether anything reads the block's language."""
    return block.language in _READERS


def _yaml(block: Block, folder: Path) -> None:
    """A worker's file, a scenario or a plan, whichever its keys say; of a plan its steps will do."""
    content = YAML(typ="safe", pure=True).load(StringIO(block.text))
    file = folder / "block.yaml"
    file.write_text(block.text, encoding="utf-8")
    if "worker" in content:
        load_settings(file, {}, {})
    elif "fleet" in content:
        read_scenario(file)
    elif "steps" in content:
        plan_from_mapping({"name": "a plan", **content})
    else:
        raise ValueError(f"{block.place}: nobody reads YAML with the keys {', '.join(map(str, content))}")


def _json(block: Block, folder: Path) -> None:
    """One document after the other."""
    decoder = json.JSONDecoder()
    rest = block.text.strip()
    while rest:
        _, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()


def _proto(block: Block, folder: Path) -> None:
    """What is shown of a contract stands there, line by line; comments may be left out or be others."""
    written = {
        _bare(line) for path in (REPOSITORY / "proto").rglob("*.proto") for line in path.read_text().splitlines()
    }
    strange = [line for line in block.text.splitlines() if _bare(line) not in written]
    if strange:
        raise ValueError(f"{block.place}: not in proto/: {strange}")


def _bare(line: str) -> str:
    return re.sub(r"\s+", " ", line.partition("//")[0]).strip()


def _promql(block: Block, folder: Path) -> None:
    """One query a line, or a paragraph."""
    for query in re.split(r"\n\s*\n|\n(?=\S)", block.text.strip()):
        if text := query.partition("#")[0].strip():
            understood(text)


_READERS: Mapping[str, Callable[[Block, Path], Any]] = {
    "yaml": _yaml,
    "json": _json,
    "proto": _proto,
    "promql": _promql,
}
