"""What a container build sees of a checkout, and what its recipe says."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path


def in_context(root: Path, path: str) -> bool:
    """Whether `path`, relative to `root`, is sent to the build: the last line of .dockerignore that fits decides."""
    lines = (line.strip() for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines())
    kept = True
    for line in lines:
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if any(_fits(part, pattern) for part in _prefixes(path)):
                kept = line.startswith("!")
    return kept


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(path.rsplit("/", 1)[-1], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of a Dockerfile, with what it goes on with."""

    word: str
    rest: str


def instructions(dockerfile: Path) -> list[Instruction]:
    """Its instructions, without comments, each on one line."""
    text = "\n".join(
        line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [
        Instruction(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())
    ]
