"""The certificate that a mesh shows."""

import asyncio
import ssl
import time
from datetime import timedelta

from devteam.mesh.finding import Finding, ok, problem, warning
from devteam.mesh.reach import connected, place_of
from devteam_cli.doctor.examination import Surroundings
from devteam_cli.text import span

# gRPC's own variable for the authorities that it trusts.
_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
# Soon enough to be forgotten.
_SOON = timedelta(days=14)

_NEW = "have a new one issued for the mesh, and let its server read it"
_NAME_AUTHORITY = f"let {_ROOTS} name a file with the authority that signed it"
# OpenSSL's X509_V_ERR_...
_FIXES = {
    9: "it holds only later: set the clocks of both machines right",
    10: _NEW,
    18: f"if it is the mesh's own, let {_ROOTS} name a file with it",
    19: _NAME_AUTHORITY,
    20: _NAME_AUTHORITY,
    62: "use the name that it was issued for, or have one issued for this name",
    64: "use the name that it was issued for, or have one issued for this address",
}


async def tls(here: Surroundings) -> Finding:
    """Whether it is trusted, and for how long."""
    host, port = place_of(here.url)
    roots = here.environ.get(_ROOTS) or None
    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=roots)
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        return problem(f"{_ROOTS} names {roots}: {why}", f"let {_ROOTS} name a file with the mesh's authority")
    context.set_alpn_protocols(["h2"])
    try:
        async with connected(here.url, here.patience, context) as (_, writer):
            until = str(writer.get_extra_info("peercert")["notAfter"])
    except ssl.SSLCertVerificationError as error:
        fix = _FIXES.get(error.verify_code, _NAME_AUTHORITY)
        return problem(f"the certificate of {host} is not trusted: {error.verify_message}", fix)
    except (OSError, TimeoutError):
        return problem(f"{host}:{port} does not speak TLS", "say http:// where the mesh has no TLS")
    rest = timedelta(seconds=ssl.cert_time_to_seconds(until) - time.time())
    if rest < _SOON:
        return warning(f"the certificate of {host} is trusted, but for {span(rest)} only (until {until})", _NEW)
    return ok(f"the certificate of {host} is trusted until {until}")


def unverified(url: str) -> ssl.SSLContext | None:
    """How to speak TLS to `url` without asking who it is: that was looked at before. None: it speaks none."""
    if not url.startswith("https://"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
