"""What a certificate says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one certificate: whom it is for, and until when."""

    name: str
    issuer: str
    hosts: Sequence[str]
    uris: Sequence[str]
    since: datetime
    until: datetime
    serial: str


def facts(pem: bytes) -> Facts:
    """Of the first certificate in `pem`. Raises ValueError when there is none."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return Facts(
        name=_common_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
        hosts=(*names.get_values_for_type(x509.DNSName), *addresses),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        since=certificate.not_valid_before_utc,
        until=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
    )


def _common_name(name: x509.Name) -> str:
    return next((str(part.value) for part in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")
