"""The command that makes a machine a worker of a mesh that asks for keys."""

import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.command_line import Data, complaining, say, write
from devteam_worker.data_folder import folder

if TYPE_CHECKING:
    from devteam.mesh.errors import Unavailable
    from devteam_worker.membership import Membership

# Seconds for a mesh to answer.
_TIMEOUT = 10.0


def join(
    token: Annotated[str, typer.Argument(help="From `devteam join-token create`; - reads it from stdin.")],
    server: Annotated[str, typer.Option(help="Where the mesh is: https://host:port.")],
    worker_id: Annotated[str, typer.Option("--id", help="Stable id [the token's, else this host's name].")] = "",
    ca: Annotated[
        Path | None, typer.Option(help="Who signs the mesh's certificate (PEM).", exists=True, dir_okay=False)
    ] = None,
    ca_fingerprint: Annotated[
        str, typer.Option(help="SHA256:... of who signed it: take that certificate from the mesh.", metavar="TEXT")
    ] = "",
    data: Data = None,
    *,
    insecure: Annotated[
        bool, typer.Option("--insecure-i-know", help="Send token and key over a network without TLS.")
    ] = False,
) -> None:
    """Join a mesh: turn a token into a key of this worker's own, and keep it here. Then `start` needs nothing more.

    To join again replaces what was kept.
    """
    import asyncio

    from devteam_worker import membership

    with complaining():
        token = _checked(sys.stdin.readline().strip() if token == "-" else token)  # noqa: S105 - where it is
        _refuse_clear_text(server, insecure=insecure)
        place = folder(data)
        # Before the token is used up: nobody can show it the key again.
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_unwritable(place)
        before = _before(place)
        if ca is not None and ca_fingerprint:
            raise typer.BadParameter("goes without --ca", param_hint="--ca-fingerprint")
        ca = _authority(server, ca_fingerprint, place) if ca_fingerprint else ca and ca.absolute()
        joined = asyncio.run(
            _joined(token, server.rstrip("/"), worker_id or os.environ.get("DEVTEAM_WORKER_ID", ""), ca)
        )
        membership.write(place, joined)
        _tell(joined, before, data)


def _authority(server: str, fingerprint: str, place: Path) -> Path:
    """The file of the authority that has this fingerprint. Raises DevTeamError: then the token was shown to nobody."""
    import asyncio

    from devteam_worker import authority

    return authority.keep(place, asyncio.run(authority.fetched(server, fingerprint)))


def _checked(token: str) -> str:
    from devteam.mesh.access.key import id_of
    from devteam.mesh.errors import InvalidInput, Violation

    if not (token.startswith("dtj_") and id_of(token)):
        message = "is no join token: it is mistyped, or another kind of key; one begins with dtj_"
        raise InvalidInput(Violation("TOKEN", "TOKEN_FORMAT", message))
    return token


def _refuse_clear_text(server: str, *, insecure: bool) -> None:
    from devteam.mesh.address import is_loopback, target_of
    from devteam.mesh.errors import InvalidInput, Violation

    target, secure = target_of(server)
    if not secure and not insecure and not is_loopback(target.rpartition(":")[0].strip("[]")):
        message = f"{server} has no TLS: whoever is on the way could take the key; say https://, or --insecure-i-know"
        raise InvalidInput(Violation("--server", "NO_TLS", message))


def _refuse_unwritable(place: Path) -> None:
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(13, "cannot be written", str(place))


def _before(place: Path) -> "Membership | None":
    """What is about to be replaced; whatever is wrong with it is over then."""
    from devteam.mesh.errors import InvalidInput
    from devteam_worker import membership

    try:
        return membership.read(place)
    except InvalidInput:
        return None


async def _joined(token: str, server: str, worker_id: str, ca: Path | None) -> "Membership":
    """Who this worker is from now on. Raises DevTeamError."""
    from devteam.connection import Connection
    from devteam.mesh.clock import SystemClock
    from devteam.mesh.errors import InvalidInput, Unavailable
    from devteam.mesh.tls import TlsFiles
    from devteam.v1 import access_pb2
    from devteam_worker.membership import Membership

    connection = Connection(server, "", "", _TIMEOUT, SystemClock(), TlsFiles(ca=ca) if ca else None)
    request = access_pb2.JoinWorkerRequest(token=token, worker_id=worker_id)
    try:
        answer = await connection.call(connection.access.JoinWorker, request)
    except InvalidInput as wrong:
        if worker_id or [violation.field for violation in wrong.violations] != ["worker_id"]:
            raise
        # The token leaves it to the worker.
        request.worker_id = _host_id()
        answer = await connection.call(connection.access.JoinWorker, request)
    except Unavailable as error:
        raise _by_options(error) from None
    finally:
        await connection.close()
    spec = answer.key.spec
    return Membership(
        server=server,
        worker_id=spec.worker_id,
        key=answer.secret,
        queues=tuple(spec.queues),
        ca=str(ca or ""),
    )


def _by_options(error: "Unavailable") -> "Unavailable":
    """Of a mesh that is not trusted, with what this command is told it by."""
    from devteam.mesh.errors import Unavailable
    from devteam.mesh.handshake import UNTRUSTED

    who, untrusted, _ = error.message.partition(UNTRUSTED)
    if not untrusted:
        return error
    options = "let --ca name the file of the authority that signed it, or --ca-fingerprint its fingerprint"
    return Unavailable(f"{who}{UNTRUSTED}; {options}", reason=error.reason)


def _host_id() -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node() or "worker")[:128]


def _tell(joined: "Membership", before: "Membership | None", data: Path | None) -> None:
    from devteam.mesh.access.key import id_of

    queues = f" (queues: {', '.join(joined.queues)})" if joined.queues else ""
    write(f"Joined {joined.server} as {joined.worker_id}{queues}")
    write(f"Start it with: devteam-worker start{f' --data {data}' if data else ''}")
    if before is not None:
        say(f"its earlier key is valid until somebody ends it: devteam keys revoke {id_of(before.key)}")
    for name in ("DEVTEAM_API_KEY", "DEVTEAM_API_URL"):
        if os.environ.get(name):
            say(f"{name} is set, and wins over what was joined: unset it")
