"""Whether a server is who it says it is, as somebody sees it who is about to call it."""

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.finding import Finding, ok, problem, warning
from devteam.mesh.pem import PemFiles
from devteam.mesh.reach import connected, place_of
from devteam.mesh.tls import CA_FILE, CERT_FILE, KEY_FILE, TlsFiles

# gRPC's own variable for the authorities that it trusts.
_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
# Soon enough to be forgotten.
_SOON = timedelta(days=14)

_NEW = "have a new one issued for the mesh (devteam certs renew), and let its server read it"
_NAME_AUTHORITY = f"let {CA_FILE} name a file with the authority that signed it"
# OpenSSL's X509_V_ERR_...
_FIXES = {
    9: "it holds only later: set the clocks of both machines right",
    10: _NEW,
    18: f"if it is the mesh's own, let {CA_FILE} name a file with it",
    19: _NAME_AUTHORITY,
    20: _NAME_AUTHORITY,
    62: "use the name that it was issued for, or have one issued for this name",
    64: "use the name that it was issued for, or have one issued for this address",
}


async def trusted(url: str, files: TlsFiles | None, environ: Mapping[str, str], patience: float) -> Finding:
    """Whether the server at an https:// `url` is trusted, by whom, and for how long; `patience` in seconds."""
    host, port = place_of(url)
    roots = str(files.ca) if files and files.ca else environ.get(_ROOTS) or None
    try:
        context = await asyncio.to_thread(_context, files or TlsFiles(), roots)
    except FailedPrecondition as error:
        return problem(error.message, f"look at what {CA_FILE}, {CERT_FILE} and {KEY_FILE} name")
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else os.strerror(error.errno or 0)
        return problem(f"{_ROOTS} names {roots}: {why}", f"let {CA_FILE} name a file with the mesh's authority")
    try:
        async with connected(url, patience, context) as (_, writer):
            shown: dict[str, Any] = writer.get_extra_info("peercert")
            version = writer.get_extra_info("ssl_object").version()
    except ssl.SSLCertVerificationError as error:
        fix = _FIXES.get(error.verify_code, _NAME_AUTHORITY)
        return problem(f"the certificate of {host} is not trusted: {error.verify_message}", fix)
    except ssl.SSLError as error:
        if error.reason == "WRONG_VERSION_NUMBER":
            return problem(f"{host}:{port} does not speak TLS", "say http:// where the mesh has no TLS")
        return problem(f"{host}:{port} and this machine agree on no TLS ({error.reason})", "look at what lies between")
    except (OSError, TimeoutError):
        return problem(f"{host}:{port} does not speak TLS", "say http:// where the mesh has no TLS")
    return _judged(host, shown, f"{_issuer(shown)}, trusted by {roots or 'this machine'}; {version}")


def unverified(url: str, files: TlsFiles | None = None) -> ssl.SSLContext | None:
    """How to speak TLS to `url` without asking who it is: that was looked at before. None: it speaks none."""
    if not url.startswith("https://"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _showing(context, files or TlsFiles())


def _context(files: TlsFiles, roots: str | None) -> ssl.SSLContext:
    """Raises FailedPrecondition and OSError."""
    PemFiles(files).read()
    return _showing(ssl.create_default_context(cafile=roots), files)


def _showing(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.set_alpn_protocols(["h2"])
    if files.cert and files.key:
        context.load_cert_chain(files.cert, files.key)
    return context


def _judged(host: str, shown: Mapping[str, Any], rest: str) -> Finding:
    until = str(shown["notAfter"])
    left = timedelta(seconds=ssl.cert_time_to_seconds(until) - time.time())
    if left < _SOON:
        hours = left / timedelta(hours=1)
        words = f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} d"
        return warning(f"the certificate of {host} is trusted, but for {words} only (until {until}); {rest}", _NEW)
    return ok(f"the certificate of {host} is trusted until {until}, for {left.days} d; {rest}")


def _issuer(shown: Mapping[str, Any]) -> str:
    names = {key: value for part in shown.get("issuer", ()) for key, value in part}
    return f"signed by {names.get('commonName') or names.get('organizationName') or 'an authority without a name'}"
