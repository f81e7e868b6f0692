"""Which version of the software this process is."""

from functools import cache


@cache
def version() -> str:
    """The installed version; "unknown" where the software was not installed but copied."""
    from importlib import metadata  # takes its time, which every command would pay for

    try:
        return metadata.version("devteam-orchestrator")
    except metadata.PackageNotFoundError:
        return "unknown"
