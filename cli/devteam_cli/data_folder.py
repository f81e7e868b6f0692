"""The folder that a local mesh keeps its state in."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devteam.mesh.errors import FailedPrecondition

_MARK = "devteam.lock"
# What the workers of this machine, and `devteam certs`, keep in the same folder, whatever becomes of the mesh.
_OF_WORKERS = {
    *("workers", "worker.yaml", ".worker.yaml.lock", "worker.env", "documents"),
    *("membership.json", "authorities", "certs"),
}


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything lies."""

    path: Path

    @property
    def mesh_log(self) -> Path:
        """Log lines of the services, as JSON."""
        return self.path / "mesh.log"

    @property
    def traces(self) -> Path:
        """The store of spans."""
        return self.path / "traces.db"

    @property
    def keys(self) -> Path:
        """The folder of this machine's keys."""
        return self.path / "keys"

    @property
    def certs(self) -> Path:
        """The folder of certificates that are made here."""
        return self.path / "certs"

    def log_of(self, name: str) -> Path:
        """Log lines of a child process."""
        return self.path / f"{name}.log"

    def database(self, service: str) -> str:
        """SQLAlchemy's URL of a service's SQLite file."""
        return f"sqlite:///{self.path / service}.db"


@contextmanager
def data_folder(path: Path, *, fresh: bool) -> Iterator[DataFolder]:
    """Take the folder for this process alone; `fresh` empties it first.

    Raises FailedPrecondition when another mesh runs on it, when it holds somebody else's files, or cannot be made.
    """
    _make(path)
    if any(entry.name not in _OF_WORKERS for entry in path.iterdir()) and not (path / _MARK).exists():
        raise FailedPrecondition(f"{path} holds files that are not of a mesh; choose another folder with --data")
    with (path / _MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedPrecondition(
                f"another mesh runs on {path}; stop it, or choose another folder with --data", reason="DATA_IN_USE"
            ) from None
        if fresh:
            _empty(path)
        yield DataFolder(path)


def default_path() -> Path:
    """DEVTEAM_DATA, else .devteam in the home folder."""
    return Path(os.environ.get("DEVTEAM_DATA") or Path.home() / ".devteam")


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FailedPrecondition(
            f"the folder {path} cannot be made: {(error.strerror or str(error)).lower()}; choose another with --data"
        ) from None


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == _MARK or entry.name in _OF_WORKERS:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
