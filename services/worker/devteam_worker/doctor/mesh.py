"""Checks of the way to the mesh, each one step further than the one before."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import grpc

from devteam.mesh import status
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import DevTeamError, PermissionDenied, Unauthenticated
from devteam.mesh.finding import Finding, ok, problem, skipped, warning
from devteam.mesh.reach import connected, place_of
from devteam.mesh.trust import trusted
from devteam.mesh.version import version as installed_version
from devteam.v1 import access_pb2, access_pb2_grpc, registry_pb2, registry_pb2_grpc, status_pb2
from devteam_worker.doctor.examination import Check, Surroundings

# Seconds by which clocks may differ before people wonder about times that they are shown.
_SKEW = 5.0
_SET_URL = "set apiUrl or DEVTEAM_API_URL to where the mesh listens"


async def address(here: Surroundings) -> Finding:
    """Whether the name of the mesh means an address."""
    url = here.settings.api_url
    if urlsplit(url).scheme not in {"http", "https"}:
        return ok(f"{url} is left to gRPC")
    host, port = place_of(url)
    try:
        async with asyncio.timeout(here.patience):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        # The last of them: it is no name at all, as in a..b.
        return problem(f"the name {host} does not resolve", _SET_URL)
    return ok(f"{url} is {', '.join(dict.fromkeys(str(entry[4][0]) for entry in found))}")


async def connection(here: Surroundings) -> Finding:
    """Whether anybody listens there."""
    url = here.settings.api_url
    if urlsplit(url).scheme not in {"http", "https"}:
        return ok(f"{url} is left to gRPC")
    host, port = place_of(url)
    try:
        async with connected(url, here.patience):
            return ok(f"{host}:{port} accepts connections")
    except TimeoutError:
        return problem(f"{host}:{port} does not answer", "look for a firewall in between, or for another address")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else "nobody answers"
        return problem(f"{host}:{port} cannot be reached ({why})", f"start the mesh there, or {_SET_URL}")


async def tls(here: Surroundings) -> Finding:
    """Whether the mesh is who it says it is."""
    url = here.settings.api_url
    if urlsplit(url).scheme != "https":
        return skipped("the address is not https://")
    return await trusted(url, here.settings.tls, here.environ, here.patience)


async def answer(here: Surroundings) -> Finding:
    """Whether a mesh answers, and takes the key."""
    try:
        async with _mesh(here) as channel:
            access = access_pb2_grpc.AccessServiceStub(channel)
            caller = await access.GetIdentity(access_pb2.GetIdentityRequest(), timeout=here.patience)
    except (Unauthenticated, PermissionDenied):
        return problem("the mesh refuses the key", "set DEVTEAM_API_KEY to a key of this mesh")
    except DevTeamError as error:
        return problem(f"no Registry answers: {error.message}", f"look at the mesh: devteam workers; or {_SET_URL}")
    if not caller.keys_on:
        return ok("the mesh answers, and asks for no key")
    if caller.role != access_pb2.ROLE_WORKER:
        return problem("the mesh knows the key, and it is no worker's", "join with a token: devteam-worker join TOKEN")
    return ok("the mesh answers, and takes the key")


async def clock(here: Surroundings) -> Finding:
    """How far the clocks are apart."""
    before = time.time()
    said = await _said(here)
    after = time.time()
    if said is None or not said.HasField("now"):
        return skipped("the mesh does not tell its time")
    theirs = said.now.ToNanoseconds() / 1e9
    apart = (before + after) / 2 - theirs
    found = f"{abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} the mesh"
    if abs(apart) <= _SKEW + (after - before) / 2:
        return ok(found)
    return warning(found, "let the machine's clock follow a time server: timedatectl set-ntp true")


async def version(here: Surroundings) -> Finding:
    """Whether mesh and worker are of the same version."""
    said, own = await _said(here), installed_version()
    theirs = said.version if said else ""
    if not theirs:
        return skipped(f"this is {own}; the mesh does not say its own")
    if theirs != own:
        return warning(
            f"this is {own}, and the mesh {theirs}", f"pip install devteam-orchestrator=={theirs}, or renew the mesh"
        )
    return ok(f"worker and mesh are {own}")


CHECKS = (
    Check("address", address),
    Check("connection", connection, after="address"),
    Check("tls", tls, after="connection"),
    Check("mesh", answer, after="connection"),
    Check("clock", clock, after="mesh"),
    Check("version", version, after="mesh"),
)


async def _said(here: Surroundings) -> status_pb2.ServiceStatus | None:
    """What the Registry says of itself; None when it is too old to, or says so to no worker."""
    try:
        async with _mesh(here) as channel:
            registry = registry_pb2_grpc.RegistryServiceStub(channel)
            request = registry_pb2.GetRegistryStatusRequest()
            return (await registry.GetRegistryStatus(request, timeout=here.patience)).status
    except DevTeamError:
        return None


@asynccontextmanager
async def _mesh(here: Surroundings) -> AsyncIterator[grpc.aio.Channel]:
    """A way to the address of the settings. Raises DevTeamError for what a call in the block ends with."""
    settings = here.settings
    async with open_channel(settings.api_url, api_key=settings.api_key.get_secret_value(), tls=settings.tls) as channel:
        try:
            yield channel
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from None
