"""Certificates as a test wants them, and a TLS server that shows one."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from devteam_cli.certs.authority import Subject
from devteam_cli.certs.folder import CertFolder

from devteam.mesh.tls import TlsFiles
from tests.fakes.port import serving

_MONTH = timedelta(days=30)


def certificate(folder: Path, host: str = "localhost", *, since: timedelta, until: timedelta) -> tuple[Path, Path]:
    """Files of a certificate that signs itself for `host`, and of its key; it holds from and to so long from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown, kept = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kept.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return shown, kept


class Certificates:
    """A private authority, with a certificate for a server on this machine, as `devteam certs` makes them."""

    def __init__(self, path: Path) -> None:
        self.folder = CertFolder(path, datetime.now(UTC))
        self.folder.found((), _MONTH)

    @property
    def ca(self) -> TlsFiles:
        """What somebody needs to trust it."""
        return TlsFiles(ca=self.folder.cert("ca"))

    def files(self, name: str = "server") -> TlsFiles:
        """What somebody shows and trusts."""
        return TlsFiles(self.folder.cert(name), self.folder.key(name), self.folder.cert("ca"))

    def issue(self, name: str, *uris: str, hosts: tuple[str, ...] = (), ago: timedelta = timedelta()) -> TlsFiles:
        """A certificate that was made so long ago, for a month."""
        before = CertFolder(self.folder.path, datetime.now(UTC) - ago)
        before.issue(name, Subject(name, hosts, uris), _MONTH)
        return self.files(name)

    def serial(self, name: str = "server") -> str:
        """The number of a certificate, in hexadecimal."""
        return self.folder.known(name).serial


async def serial_shown(port: int) -> str:
    """The number of the certificate that a server on this machine shows now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return f"{x509.load_der_x509_certificate(shown).serial_number:x}"


@asynccontextmanager
async def tls_server(shown: Path, kept: Path) -> AsyncIterator[str]:
    """One that hangs up after the handshake, at the URL that is yielded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, kept)
    async with serving(_hangs_up, context) as port:
        yield f"https://localhost:{port}"


async def _hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass
