"""What a worker keeps once it has joined a mesh: where that is, who it is there, and its key."""

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from devteam.mesh.errors import InvalidInput, Violation

FILE = "membership.json"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A worker's place in the mesh at `server`. `ca` is the file that signs its certificates; empty: a public one."""

    server: str
    worker_id: str
    key: str = field(repr=False)
    queues: tuple[str, ...] = ()
    ca: str = ""


def read(folder: Path) -> Membership | None:
    """The membership that is kept in a folder; None: this worker has not joined.

    Raises InvalidInput for a file that others can read, or that is none.
    """
    path = folder / FILE
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            content: Any = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal("FILE_UNREADABLE", f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise _refusal("MEMBERSHIP_FORMAT", _no_membership(path)) from None
    if mode & _OTHERS:
        raise _refusal(
            "FILE_EXPOSED",
            f"{path}: others can read the key in it; `chmod 600 {path}`, and where they may have, have it revoked and "
            "join anew",
        )
    return _membership(content, path)


def write(folder: Path, membership: Membership) -> None:
    """Keep a membership in place of any other, for its owner's eyes alone. Raises OSError."""
    draft = folder / f".{FILE}.{os.getpid()}"
    # Of one that broke off: in a container each has the same number.
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(membership), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / FILE)
    finally:
        draft.unlink(missing_ok=True)


def _membership(content: Any, path: Path) -> Membership:
    try:
        kept = Membership(**{**content, "queues": tuple(content["queues"])})
    except (TypeError, KeyError):
        raise _refusal("MEMBERSHIP_FORMAT", _no_membership(path)) from None
    texts = (kept.server, kept.worker_id, kept.key, kept.ca, *kept.queues)
    if not all(isinstance(text, str) for text in texts):
        raise _refusal("MEMBERSHIP_FORMAT", _no_membership(path))
    return kept


def _no_membership(path: Path) -> str:
    return f"{path}: is not what `devteam-worker join` writes; join anew, or remove it"


def _refusal(reason: str, message: str) -> InvalidInput:
    return InvalidInput(Violation("", reason, message))
