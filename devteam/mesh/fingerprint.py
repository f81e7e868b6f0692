"""What people compare of a certificate, to know that it is the one that was meant."""

import base64
import binascii
import hashlib
import re
import ssl

from devteam.mesh.errors import InvalidInput, Violation

_SIZE = 32
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}:?){32}")


def digest_of(der: bytes) -> bytes:
    """The SHA-256 of a certificate in DER."""
    return hashlib.sha256(der).digest()


def fingerprint_of(pem: str) -> str:
    """SHA256:... of the first certificate in `pem`. Raises ValueError when there is none."""
    first, end, _ = pem.partition(ssl.PEM_FOOTER)
    digest = digest_of(ssl.PEM_cert_to_DER_cert(first[first.find(ssl.PEM_HEADER) :] + end))
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read_fingerprint(field: str, text: str) -> bytes:
    """The digest that a fingerprint stands for: as it is shown here, or in hexadecimal as openssl does.

    Raises InvalidInput that names `field`.
    """
    kind, colon, rest = text.strip().partition(":")
    bare = rest if colon and kind.upper() == "SHA256" else text.strip()
    if _HEX.fullmatch(bare):
        return bytes.fromhex(bare.replace(":", ""))
    try:
        digest = base64.b64decode(f"{bare}=", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _SIZE:
        raise InvalidInput(Violation(field, "FINGERPRINT_FORMAT", f"{text!r} is no fingerprint of the form SHA256:..."))
    return digest
