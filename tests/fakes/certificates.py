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

from tests.fakes.port import serving


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


@asynccontextmanager
async def tls_server(shown: Path, kept: Path) -> AsyncIterator[str]:
    """One that hangs up after the handshake, at the URL that is yielded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, kept)
    async with serving(_hangs_up, context) as port:
        yield f"https://localhost:{port}"


async def _hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass
