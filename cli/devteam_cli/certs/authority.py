"""A private certificate authority: one that vouches for the machines of one mesh, and that nobody else trusts."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A clock that is behind by less does not refuse what was issued just now.
SKEW = timedelta(minutes=5)
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, in PEM."""

    cert: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: under which names and addresses it serves, if any, and what it is called (URIs)."""

    name: str
    hosts: Sequence[str] = ()
    uris: Sequence[str] = ()


class Authority:
    """Signs certificates with its key (EC, P-256)."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def new(cls, name: str, now: datetime, life: timedelta, *, within: Sequence[str] = ()) -> "Authority":
        """A new one, which may only vouch for hosts in the domains and for the addresses of `within`, if any."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, _name(name), key.public_key(), now, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        if within:
            permitted = [_permitted(place) for place in within]
            builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def of(cls, kept: Issued) -> "Authority":
        """The one whose certificate and key were kept. Raises ValueError when they are none."""
        key = serialization.load_pem_private_key(kept.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("not a key of an authority that was made here")
        return cls(x509.load_pem_x509_certificate(kept.cert), key)

    @property
    def kept(self) -> Issued:
        """What makes it again."""
        return Issued(self.certificate.public_bytes(serialization.Encoding.PEM), _pem_of(self._key))

    def issue(self, subject: Subject, now: datetime, life: timedelta) -> Issued:
        """A certificate for a client, and for a server if the subject has hosts; none outlives its issuer."""
        key = ec.generate_private_key(ec.SECP256R1())
        rest = self.certificate.not_valid_after_utc - now
        builder = _builder(subject.name, self.certificate.subject, key.public_key(), now, min(life, rest))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        # The services of a mesh call each other: what serves shows the same certificate when it calls.
        purposes = [*([ExtendedKeyUsageOID.SERVER_AUTH] if subject.hosts else []), ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = [*map(_host, subject.hosts), *map(x509.UniformResourceIdentifier, subject.uris)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        return Issued(signed.public_bytes(serialization.Encoding.PEM), _pem_of(key))


def is_key_of(cert: bytes, key: bytes) -> bool:
    """Whether a private key is that of a certificate, both in PEM. Raises ValueError and TypeError."""
    known = serialization.load_pem_private_key(key, password=None)
    return known.public_key() == x509.load_pem_x509_certificate(cert).public_key()


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _permitted(place: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_network(place))
    except ValueError:
        return x509.DNSName(place)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
