"""The front door of a mesh on this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from devteam.mesh.address import is_loopback, reachable
from devteam.mesh.errors import FailedPrecondition, Unavailable
from devteam.mesh.reach import place_of
from devteam.mesh.server import Listen, refuse_exposure
from devteam.mesh.tasks import background
from devteam.mesh.tls import TlsFiles
from devteam_cli.data_folder import DataFolder
from devteam_cli.gateway.envoy import Envoy, binary, envoy
from devteam_cli.gateway.folder import write
from devteam_cli.gateway.place import Address, Place
from devteam_cli.ports import free_port, refuse_taken

_NAME = "gateway"


def refuse_gateway(listen: Listen, *, keys: bool = False) -> None:
    """Raise FailedPrecondition where no gateway can be started: before a mesh is started for nothing.

    `keys`: the mesh behind it asks for keys.
    """
    refuse_exposure(listen, keys=keys)
    if listen.client_certs:
        raise FailedPrecondition(
            "a gateway shows no certificate of its callers, and this mesh lets in only who shows one: leave out "
            "--gateway, or ask for keys instead of certificates",
            reason="GATEWAY_WITHOUT_CERTIFICATE",
        )
    binary()
    refuse_taken("the gateway", reachable(listen.host), listen.port, "--gateway-port")


@asynccontextmanager
async def gateway_beside(
    listen: Listen, mesh_url: str, page_url: str, data: DataFolder, *, keys: bool = False
) -> AsyncIterator[str]:
    """Run the front door of the mesh at `mesh_url` for as long as the block runs, which begins with its address.

    It speaks TLS where the mesh does, with the same certificate. Port 0 takes a free one. Raises FailedPrecondition
    when it cannot be started or must not be reached from elsewhere, and Unavailable when it dies.
    """
    refuse_gateway(listen, keys=keys)
    port = listen.port or free_port()
    place = _place(listen, port, mesh_url, page_url)
    folder, log = write(place, data.path / _NAME), data.log_of(_NAME)
    async with envoy(folder, log) as running, background(partial(_outlive, running, log)):
        yield f"{place.scheme}://{Address(reachable(listen.host), port)}"


def _place(listen: Listen, port: int, mesh_url: str, page_url: str) -> Place:
    mesh = Address(*place_of(mesh_url))
    return Place(
        listen=Address(listen.host, port),
        registry=mesh,
        router=mesh,
        planner=mesh,
        # It has no logins, and would be seen from wherever the gateway is.
        page=Address(*place_of(page_url)) if page_url and is_loopback(listen.host) else None,
        certificate=_seen_from_anywhere(listen.tls) if listen.tls else None,
        # What this machine says to itself. Shown a certificate, the mesh might take every caller for a service.
        upstream=TlsFiles() if listen.tls else None,
        # Without TLS, a page elsewhere must not get in by pointing a name of its own at this machine.
        names=None if listen.tls else (),
    )


def _seen_from_anywhere(tls: TlsFiles) -> TlsFiles:
    """Envoy runs in a folder of its own."""
    return TlsFiles(tls.cert and tls.cert.absolute(), tls.key and tls.key.absolute())


async def _outlive(running: Envoy, log: Path) -> None:
    """Wait for Envoy to die, which it does not do by itself."""
    code = await running.exited()
    raise Unavailable(f"the gateway ended with code {code}, see {log}; start again: nothing that was accepted is lost")
