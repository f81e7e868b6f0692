"""What is said beside the data: progress, notes and complaints, on stderr."""

import os
import sys

from devteam_cli.text import printable

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def say(line: str, *, dim: bool = False) -> None:
    """One line."""
    whisper(f"{line}\n", dim=dim)


def whisper(text: str, *, dim: bool = False) -> None:
    """Text without an end of line."""
    shown = printable(text)
    sys.stderr.write(f"{_DIM}{shown}{_PLAIN}" if dim and coloured() else shown)
    sys.stderr.flush()


def coloured() -> bool:
    """Whether stderr is a terminal whose owner wants colours."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
