"""The certificates that a process shows, and those that it trusts."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. They may be replaced while the process runs: new connections use what is there then.

    `cert` and `key` are shown to whoever connects or is connected to; `ca` signs those that are trusted. None: nothing
    is shown, or what the machine trusts is trusted.
    """

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
