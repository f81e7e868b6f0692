"""Which version of the software this process is."""

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """The installed version; "unknown" where the software was not installed but copied."""
    try:
        return metadata.version("devteam-orchestrator")
    except metadata.PackageNotFoundError:
        return "unknown"
