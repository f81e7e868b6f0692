"""The authority of a mesh, taken from the mesh itself by whoever knows its fingerprint."""

import ssl
from pathlib import Path
from typing import Any

from devteam.mesh.errors import InvalidInput, PermissionDenied, Unavailable, Violation
from devteam.mesh.fingerprint import digest_of, read_fingerprint
from devteam.mesh.reach import connected
from devteam.mesh.trust import unverified

FOLDER = "authorities"
_PATIENCE = 10.0


async def fetched(server: str, fingerprint: str) -> bytes:
    """The certificate in PEM whose fingerprint that is, as the mesh at `server` shows it above its own.

    Nothing is told to the mesh meanwhile. Raises InvalidInput, Unavailable where nobody speaks TLS, and
    PermissionDenied where it shows another one, or none.
    """
    digest = read_fingerprint("--ca-fingerprint", fingerprint)
    if (context := unverified(server)) is None:
        raise InvalidInput(Violation("--ca-fingerprint", "NO_TLS", f"{server} shows no certificate: say https://"))
    try:
        async with connected(server, _PATIENCE, context) as (_, writer):
            shown = _chain(writer.get_extra_info("ssl_object"))
    except (OSError, TimeoutError):
        raise Unavailable(f"{server} cannot be reached, or does not speak TLS") from None
    # Only what signs: the first one is the mesh's own.
    for der in shown[1:]:
        if digest_of(der) == digest:
            return ssl.DER_cert_to_PEM_cert(der).encode()
    raise PermissionDenied(
        f"{server} shows no authority with this fingerprint, so that nothing was said to it: compare it with what "
        "`devteam up --secure` or the one who runs the mesh says; somebody may stand between",
        reason="AUTHORITY_NOT_SHOWN",
    )


def keep(folder: Path, pem: bytes) -> Path:
    """Keep it in `folder` for the worker's connections, beside those of other meshes; where it lies. Raises OSError."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    file = folder / FOLDER / f"{digest_of(pem).hex()[:16]}.pem"
    draft = file.with_suffix(".new")
    draft.write_bytes(pem)
    draft.replace(file)
    return file.absolute()


def _chain(tls: Any) -> list[bytes]:
    # Public from Python 3.13 on; below, the same call of what stands behind.
    if hasattr(tls, "get_unverified_chain"):
        return list(tls.get_unverified_chain())
    return [ssl.PEM_cert_to_DER_cert(shown.public_bytes()) for shown in tls._sslobj.get_unverified_chain() or ()]  # noqa: SLF001 - see above
