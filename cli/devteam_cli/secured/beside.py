"""What stands beside a secured mesh while it runs: a certificate that holds, and the way in for this machine."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from devteam.mesh.address import is_loopback
from devteam.mesh.clock import SystemClock
from devteam.mesh.fingerprint import fingerprint_of
from devteam.mesh.tasks import background
from devteam_cli import local_mesh
from devteam_cli.data_folder import DataFolder, default_path
from devteam_cli.local_mesh import LocalMesh
from devteam_cli.mesh import Mesh
from devteam_cli.secured.hosts import hosts_at, seen_from_elsewhere


@asynccontextmanager
async def certified(data: DataFolder, host: str, names: Sequence[str]) -> AsyncIterator[None]:
    """Have a certificate for a mesh that listens at `host`, and renew it in time. Raises DevTeamError."""
    # What it stands on takes a while to import, and is for those alone who make certificates.
    from devteam_cli.secured.certificate import ServerCertificate

    certificate = ServerCertificate(data.certs, hosts_at(host, names), SystemClock())
    certificate.ensure()
    async with background(certificate.keep):
        yield


@contextmanager
def left_for_commands(mesh: Mesh, data: DataFolder, host: str, names: Sequence[str]) -> Iterator[LocalMesh | None]:
    """Let the commands of this machine find the mesh, if it is a secured one, for as long as the block runs."""
    local_mesh.forget(data.path)
    if mesh.ca is None or mesh.admin_key is None:
        yield None
        return
    elsewhere = "" if is_loopback(host) else seen_from_elsewhere(hosts_at(host, names))
    port = mesh.url.rpartition(":")[2]
    left = LocalMesh(
        url=mesh.url,
        ca=str(mesh.ca),
        key_file=str(mesh.admin_key.absolute()),
        elsewhere=f"https://{f'[{elsewhere}]' if ':' in elsewhere else elsewhere}:{port}" if elsewhere else "",
        fingerprint=fingerprint_of(mesh.ca.read_text(encoding="ascii")),
    )
    local_mesh.write(data.path, left)
    try:
        yield left
    finally:
        local_mesh.forget(data.path)


def welcome(mesh: LocalMesh, data: Path) -> Iterator[str]:
    """What somebody needs to know next."""
    yield f"Authority: {mesh.ca} ({mesh.fingerprint})"
    found = "" if data.absolute() == default_path().absolute() else f", once DEVTEAM_DATA={data.absolute()} is set"
    yield f"Everybody is asked for a key. `devteam` on this machine has one{found}."
    if not mesh.elsewhere:
        yield "Other machines cannot reach it: it listens here alone (--host 0.0.0.0)."
        return
    yield f"From other machines: {mesh.elsewhere}. A worker there joins with a token, which is made here:"
    yield "  here:   devteam join-token create --queue default"
    yield f"  there:  devteam-worker join TOKEN --server {mesh.elsewhere} --ca-fingerprint {mesh.fingerprint}"
    yield "  there:  devteam-worker start"
