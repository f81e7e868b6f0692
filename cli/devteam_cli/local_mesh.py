"""What `devteam up --secure` leaves in its data folder, so that commands on this machine need be told nothing."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.tls import CA_FILE
from devteam_cli.data_folder import default_path

FILE = "connection.json"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """Where a secured mesh answers on this machine, who signed its certificate, and the file of a key for it.

    `elsewhere` is its address for other machines, empty where they cannot reach it; `fingerprint` is the authority's.
    """

    url: str
    ca: str
    key_file: str
    elsewhere: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Access:
    """How a command reaches a mesh. None: as the variables say, or as is usual."""

    url: str | None = None
    key: str | None = None
    ca: str | None = None


def access(url: str | None, key: str | None, environ: Mapping[str, str]) -> Access:
    """How to reach the mesh at `url`, or the one that is meant where no address is given.

    What was said counts, then what the environment says, then what the mesh of this machine left in its folder: its key
    is for that mesh alone. Raises InvalidInput for a file that others can read.
    """
    mesh = _meant(url or environ.get("DEVTEAM_API_URL"))
    if mesh is None:
        return Access(url, key)
    says_key = key is not None or "DEVTEAM_API_KEY" in environ
    ca = None if environ.get(CA_FILE) else mesh.ca
    return Access(mesh.url, key if says_key else _secret(Path(mesh.key_file)), ca)


def directions(url: str) -> str:
    """The options of `devteam-worker join` that lead another machine to the mesh at `url`."""
    mesh = _meant(url)
    if mesh is None:
        return f"--server {url}"
    return f"--server {mesh.elsewhere or mesh.url} --ca-fingerprint {mesh.fingerprint}"


def write(folder: Path, mesh: LocalMesh) -> None:
    """Leave it for the commands of this machine, for their owner alone. Raises OSError."""
    forget(folder)
    descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(mesh), file, indent=2)


def forget(folder: Path) -> None:
    """Nothing secured runs on this folder any more. Harmless when nothing did."""
    (folder / FILE).unlink(missing_ok=True)


def _meant(url: str | None) -> LocalMesh | None:
    mesh = read(default_path())
    return mesh if mesh is not None and url in (None, "", mesh.url) else None


def read(folder: Path) -> LocalMesh | None:
    """What was left in a folder; None: nothing. Raises InvalidInput for a file that others can read."""
    path = folder / FILE
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            content: Any = json.load(file)
        mesh = LocalMesh(**content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError):
        raise _refusal(f"{path} cannot be read; start the mesh again, or remove the file") from None
    if mode & _OTHERS:
        raise _refusal(f"others can read or change {path}: `chmod 600 {path}`")
    return mesh


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise _refusal(f"{file}, the key of this machine's mesh, cannot be read; start the mesh again") from None


def _refusal(message: str) -> InvalidInput:
    return InvalidInput(Violation("", "LOCAL_MESH", message))
