"""Checks of the way to the mesh, each one step further than the one before."""

import asyncio
import os
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

from devteam.client import DevTeamClient
from devteam.errors import DevTeamError, FailedPrecondition, InvalidInput, PermissionDenied, Unauthenticated
from devteam.mesh.address import without_secrets
from devteam.mesh.finding import Finding, ok, problem, skipped, warning
from devteam.mesh.reach import connected, place_of
from devteam.mesh.tls import CERT_FILE, KEY_FILE
from devteam.mesh.trust import trusted, unverified
from devteam_cli.doctor.examination import Check, Surroundings
from devteam_cli.doctor.greeting import Greeting, greeted

_SET_URL = "name the mesh's address with --api-url or DEVTEAM_API_URL"
# What gRPC reads, in its order; it knows none of them in capitals.
_PROXIES, _EXCEPTIONS = ("grpc_proxy", "https_proxy", "http_proxy"), ("no_grpc_proxy", "no_proxy")

_GREETINGS = {
    Greeting.HTTP1: ("a web server that speaks no HTTP/2 answers, and no mesh", _SET_URL),
    Greeting.TLS: ("it speaks TLS", "say https:// instead of http://"),
    Greeting.STRANGE: ("what answers speaks no HTTP/2, and is no mesh", _SET_URL),
    Greeting.SILENT: (
        "it accepts connections and then says nothing: no mesh, or one behind something that swallows its words",
        f"{_SET_URL}, or look at the proxy or firewall in between",
    ),
    Greeting.CLOSED: (
        "it accepts connections and ends them at once: no mesh, or a proxy without one behind it",
        f"{_SET_URL}, or see whether the mesh runs behind that proxy",
    ),
}


_WANTS_CERTIFICATE = (
    "it ends TLS connections as soon as they are there: no mesh, or one that asks for a certificate that it trusts",
    f"let {CERT_FILE} and {KEY_FILE} name one that its authority signed",
)


async def address(here: Surroundings) -> Sequence[Finding]:
    """Whether the name of the mesh means an address."""
    if not here.is_plain_url:
        return [ok(f"{here.url} is left to gRPC")]
    try:
        host, port = place_of(here.url)
    except InvalidInput as error:
        return [problem(error.violations[0].message, _SET_URL)]
    try:
        async with asyncio.timeout(here.patience):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        # The last of them: it is no name at all, as in a..b.
        return [problem(f"the name {host} does not resolve", _SET_URL)]
    places = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))
    return [ok(f"{without_secrets(here.url)} is {places}")]


async def proxy(here: Surroundings) -> Sequence[Finding]:
    """Whether variables of the environment send gRPC another way."""
    name = next((name for name in _PROXIES if here.environ.get(name)), "")
    if not name:
        return [ok("no variable sends calls through a proxy")]
    host = place_of(here.url)[0] if here.is_plain_url else here.url
    if _excepted(host, here):
        return [ok(f"{name} is set, and leaves out {host}")]
    through = without_secrets(here.environ[name])
    return [warning(f"{name} sends calls through {through}", f"unset it, or add {host} to no_grpc_proxy")]


async def connection(here: Surroundings) -> Sequence[Finding]:
    """Whether anybody listens there."""
    if not here.is_plain_url:
        return [ok(f"{here.url} is left to gRPC")]
    place = "{}:{}".format(*place_of(here.url))
    try:
        async with connected(here.url, here.patience):
            return [ok(f"{place} accepts connections")]
    except TimeoutError:
        return [problem(f"{place} does not answer", "look for a firewall in between, or for another address")]
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else "nobody answers"
        fix = f"start the mesh there (here: `devteam up`), or {_SET_URL}"
        return [problem(f"{place} cannot be reached ({why})", fix)]


async def grpc(here: Surroundings) -> Sequence[Finding]:
    """Whether what listens there speaks HTTP/2, as gRPC does."""
    if not here.is_plain_url:
        return [ok(f"{here.url} is left to gRPC")]
    greeting = await greeted(here.url, here.patience, unverified(here.url, here.tls))
    if greeting is Greeting.CLOSED and here.url.startswith("https://"):
        # It ends what it does not trust once TLS is agreed on, and says nothing.
        return [problem(*_WANTS_CERTIFICATE)]
    if greeting is Greeting.CLOSED and await _speaks_tls(here):
        greeting = Greeting.TLS
    return [ok("it speaks HTTP/2") if greeting is Greeting.HTTP2 else problem(*_GREETINGS[greeting])]


async def _speaks_tls(here: Surroundings) -> bool:
    try:
        async with connected(here.url, here.patience, unverified(here.url.replace("http:", "https:", 1))):
            return True
    except (OSError, TimeoutError):
        return False


async def mesh(here: Surroundings) -> Sequence[Finding]:
    """Whether it is a mesh, and takes the key."""
    ca = here.tls.ca if here.tls else None
    async with DevTeamClient(here.url, api_key=here.api_key, timeout=here.patience, ca_file=ca) as client:
        try:
            services = await client.get_status()
        except (Unauthenticated, PermissionDenied):
            return [problem("the mesh refuses the key", "give a key of this mesh: --api-key or DEVTEAM_API_KEY")]
        except FailedPrecondition:
            return [await _no_status(client)]
        except DevTeamError as error:
            return [problem(f"no mesh answers: {error.message}", f"see whether all of it runs, or {_SET_URL}")]
    answering = [service for service in services if not service.problem]
    return [ok(f"a mesh answers: {', '.join(service.name for service in answering)}")]


async def _no_status(client: DevTeamClient) -> Finding:
    """It does not know the call: it is an older mesh, or none."""
    try:
        await client.get_routing()
    except DevTeamError:
        return problem("what answers speaks gRPC, and is no mesh", _SET_URL)
    return problem("it is a mesh that is too old to say how it stands", "bring it to the version of this client")


def _excepted(host: str, here: Surroundings) -> bool:
    name = next((name for name in _EXCEPTIONS if here.environ.get(name)), "")
    # As gRPC has it: a name, or the end of one.
    return any(fnmatchcase(host, f"*{end.strip()}") for end in here.environ.get(name, "").split(",") if end.strip())


async def secure(here: Surroundings) -> Sequence[Finding]:
    """Whether the mesh is who it says it is."""
    if not here.url.startswith("https://"):
        return [skipped("the address is not https://")]
    return [await trusted(here.url, here.tls, here.environ, here.patience)]


CHECKS = (
    Check("address", address),
    Check("proxy", proxy, after="address"),
    Check("connection", connection, after="address"),
    Check("tls", secure, after="connection"),
    Check("grpc", grpc, after="tls"),
    Check("mesh", mesh, after="grpc"),
)
