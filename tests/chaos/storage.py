"""Where a Planner keeps what it knows, in forms that can be taken away from it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]  # ships no types
from sqlalchemy.engine import make_url

from tests.fakes.postgres import postgres


class Kind(Enum):
    """What to keep it in."""

    FILE = "file"
    SMALL_DISK = "small disk"
    POSTGRES = "postgres"


class Storage:
    """A database at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def break_down(self) -> None:
        """Be of no use any more."""
        raise NotImplementedError

    def recover(self) -> None:
        """Be of use again, with everything that was stored."""
        raise NotImplementedError


class SmallDisk(Storage):
    """A SQLite file on a disk of a few megabytes, which breaks down by being full."""

    def __init__(self, disk: Path) -> None:
        super().__init__(f"sqlite:///{disk}/planner.db")
        self._ballast = disk / "ballast"

    def break_down(self) -> None:
        """Fill the disk to its last byte."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while ballast.write(bytes(512)):
                pass

    def recover(self) -> None:
        """Make room again."""
        self._ballast.unlink()


class Postgres(Storage):
    """A PostgreSQL server, which breaks down by SIGKILL."""

    def __init__(self, folder: Path) -> None:
        self._server = postgres(folder)
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        super().__init__(url.render_as_string(hide_password=False))

    def break_down(self) -> None:
        """Kill the server and all its processes at once."""
        postmaster = psutil.Process(self._server.get_pid())
        for process in [*postmaster.children(recursive=True), postmaster]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        postmaster.wait()

    def recover(self) -> None:
        """Start it again on its files."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it."""
        self._server.cleanup()


@contextmanager
def storage(kind: Kind, folder: Path) -> Iterator[Storage]:
    """A database of this kind, with its files in `folder`, for as long as the block runs."""
    match kind:
        case Kind.FILE:
            yield Storage(f"sqlite:///{folder}/planner.db")
        case Kind.SMALL_DISK:
            disk = folder / "disk"
            disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)], check=True)
            try:
                yield SmallDisk(disk)
            finally:
                subprocess.run(["umount", "-l", str(disk)], check=True)
        case Kind.POSTGRES:
            # Not in `folder`: the server runs as another user, who has to get there.
            with TemporaryDirectory(prefix="postgres-") as home:
                server = Postgres(Path(home))
                try:
                    yield server
                finally:
                    server.close()


def can_mount() -> bool:
    """Whether a disk of one's own can be had here: it takes root, and a kernel that lets root do so."""
    if os.geteuid():
        return False
    probe = "mount -t tmpfs tmpfs /mnt"
    return subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True, check=False).returncode == 0
