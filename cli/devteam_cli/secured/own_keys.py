"""The keys of this machine: the mesh's own, and those of whoever works here. Each in a file for its owner alone."""

import os
from pathlib import Path

from devteam.client import DevTeamClient
from devteam.keys import Role
from devteam.mesh.access.key import mint
from devteam.mesh.errors import Unauthenticated

ADMIN, PAGE = "admin", "page"


class OwnKeys:
    """Those in a folder. What is made stays: a start after the first one makes nothing new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mesh_key(self) -> Path:
        """The file of the mesh key."""
        file = self.file("mesh")
        if not file.exists():
            self._keep(file, mint("m").secret)
        return file

    async def key(self, url: str, ca: Path | None, name: str, role: Role, *, worker_id: str = "") -> str:
        """The key called `name`, which the mesh at `url` makes where there is none, or none that is valid.

        Raises DevTeamError.
        """
        file = self.file(name)
        if file.exists() and await _is_valid(url, ca, secret := _read(file)):
            return secret
        async with DevTeamClient(url, api_key=_read(self.mesh_key()), ca_file=ca) as mesh:
            made = await mesh.create_key(f"{name} (devteam up)", role=role, worker_id=worker_id)
        self._keep(file, made.secret)
        return made.secret

    def file(self, name: str) -> Path:
        """Where the key called `name` lies."""
        return self._folder / f"{name}.key"

    def _keep(self, file: Path, secret: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(f"{secret}\n")
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


async def _is_valid(url: str, ca: Path | None, secret: str) -> bool:
    """One that was revoked, or that belongs to a database which is gone, is not."""
    async with DevTeamClient(url, api_key=secret, ca_file=ca) as client:
        try:
            await client.identity()
        except Unauthenticated:
            return False
    return True
