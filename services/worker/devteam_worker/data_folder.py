"""Where the workers of this machine keep what outlives them."""

import os
from pathlib import Path


def folder(data: Path | None) -> Path:
    """Where the workers of this machine keep their state."""
    return data or Path(os.environ.get("DEVTEAM_DATA") or Path.home() / ".devteam")
