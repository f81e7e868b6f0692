"""A certificate authority of a test's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(slots=True)
class Authority:
    """Signs certificates for a day."""

    name: str = "test authority"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def root(self) -> bytes:
        """Its own certificate."""
        return self._signed(self.name, self._key, [], is_authority=True)

    def issue(self, *uris: str, dns: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """A key, and a certificate for this machine that has these URIs, and names, too."""
        key = _key()
        names: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            *map(x509.DNSName, dns),
            x509.IPAddress(ip_address("127.0.0.1")),
            *map(x509.UniformResourceIdentifier, uris),
        ]
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem, self._signed("leaf", key, names)

    def server(self) -> grpc.ServerCredentials:
        """A server that speaks with those alone who show a certificate of this authority."""
        return grpc.ssl_server_credentials([self.issue()], self.root(), require_client_auth=True)

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], *, is_authority: bool = False
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
