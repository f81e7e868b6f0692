"""Certificates that an authority of the test's own has signed."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


def signed(folder: Path, host: str, name: str = "tls") -> x509.Certificate:
    """Write NAME.crt and NAME.key for `host`, a name or an address, and ca.crt where it is not there yet."""
    authority, signing = _authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _begun(host, authority.subject, key)
        .add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    # The certificate last: whoever watches for it finds the key.
    _replace(folder / f"{name}.key", _pem_of(key))
    _replace(folder / f"{name}.crt", made.public_bytes(serialization.Encoding.PEM))
    return made


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    shown, kept = folder / "ca.crt", folder / "ca.key"
    if not shown.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = _begun("test authority", name, key).add_extension(constraints, critical=True).sign(key, hashes.SHA256())
        shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        kept.write_bytes(_pem_of(key))
    signing = serialization.load_pem_private_key(kept.read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(shown.read_bytes()), signing


def _begun(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}")
    new.write_bytes(content)
    new.replace(path)
