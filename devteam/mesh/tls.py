"""The certificates that a process shows, and those that it trusts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Variables of clients and workers; services have their own, DEVTEAM_ROUTER_TLS_CA_FILE and so on.
CA_FILE, CERT_FILE, KEY_FILE = "DEVTEAM_CA_FILE", "DEVTEAM_CERT_FILE", "DEVTEAM_KEY_FILE"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. They may be replaced while the process runs: new connections use what is there then.

    `cert` and `key` are shown to whoever connects or is connected to; `ca` signs those that are trusted. None: nothing
    is shown, or what the machine trusts is trusted.
    """

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


def tls_files(
    ca: str | Path | None, cert: str | Path | None, key: str | Path | None, environ: Mapping[str, str]
) -> TlsFiles | None:
    """What a client shows and trusts, each as said or else as its variable says; None: nothing of its own."""
    said = [str(given or environ.get(name, "")) for given, name in ((cert, CERT_FILE), (key, KEY_FILE), (ca, CA_FILE))]
    return TlsFiles(*(Path(name) if name else None for name in said)) if any(said) else None
