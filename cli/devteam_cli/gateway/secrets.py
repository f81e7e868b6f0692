"""Certificates: read from files, and read again when these are replaced, without a stream that ends."""

from pathlib import Path

from devteam.mesh.tls import TlsFiles
from devteam_cli.gateway.resources import Resource, typed, watched

_SECRET = "extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - the name of a type

CERTIFICATE = "certificate.yaml"
UPSTREAM_CERTIFICATE = "upstream_certificate.yaml"
UPSTREAM_CA = "upstream_ca.yaml"


def certificate(name: str, files: TlsFiles) -> Resource:
    """A certificate and its key, under the name that `asked_for` gives it."""
    assert files.cert is not None
    shown = {
        "certificate_chain": {"filename": str(files.cert)},
        "private_key": {"filename": str(files.key)},
        "watched_directory": _folder_of(files.cert),
    }
    return typed(_SECRET, name=name.removesuffix(".yaml"), tls_certificate=shown)


def authority(name: str, path: Path) -> Resource:
    """Who signs the certificates that are believed."""
    trusted = {"trusted_ca": {"filename": str(path)}, "watched_directory": _folder_of(path)}
    return typed(_SECRET, name=name.removesuffix(".yaml"), validation_context=trusted)


def asked_for(name: str) -> Resource:
    """How another file asks for the secret in the file `name`."""
    return {"name": name.removesuffix(".yaml"), "sds_config": watched(name)}


def _folder_of(path: Path) -> Resource:
    return {"path": str(path.parent)}
