"""How a server shows who it is, to every new connection anew."""

from datetime import UTC, datetime

import grpc

from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.pem import PemFiles, Pems
from devteam.mesh.tls import TlsFiles


def server_credentials(files: TlsFiles, *, client_certs: bool) -> grpc.ServerCredentials:
    """Credentials that follow the files: streams go on with what they began with, new connections see what is new.

    With `client_certs` only those connect whose certificate `files.ca` signed. TLS 1.2 is the oldest that gRPC speaks.
    Raises FailedPrecondition when the files cannot be used.
    """
    if files.cert is None or files.key is None:
        raise FailedPrecondition("TLS needs a certificate file and a key file", reason="TLS_FILES")
    if client_certs and files.ca is None:
        raise FailedPrecondition(
            "client certificates are asked for, and no authority file says who signs them", reason="TLS_FILES"
        )
    pems = PemFiles(files, _refuse_expired)

    def shown(found: Pems) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(found.key or b"", found.cert or b"")], found.ca if client_certs else None
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        found = pems.renewed()
        return None if found is None else shown(found)

    return grpc.dynamic_ssl_server_credentials(shown(pems.read()), fetch, client_certs)  # type: ignore[arg-type]  # None is said to be right: nothing new


def _refuse_expired(pems: Pems) -> None:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(pems.cert or b"")
    except ValueError:
        raise FailedPrecondition("the certificate cannot be read", reason="TLS_FILES") from None
    until = certificate.not_valid_after_utc
    if until <= datetime.now(UTC):
        raise FailedPrecondition(
            f"the certificate expired on {until:%Y-%m-%d %H:%M} UTC: have a new one issued (devteam certs renew)",
            reason="TLS_FILES",
        )
