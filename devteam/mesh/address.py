"""Addresses, as people write them."""

import ipaddress
import re
from urllib.parse import urlsplit

from devteam.mesh.errors import InvalidInput, Violation

DEFAULT_URL = "http://127.0.0.1:7400"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def target_of(url: str) -> tuple[str, bool]:
    """The gRPC target that `url` means, and whether to speak TLS to it.

    Anything that is not http://host:port or https://host:port is left to gRPC. Raises InvalidInput for a URL that names
    no host.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        return url, False
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port or _DEFAULT_PORTS[scheme]
    except ValueError:
        name, port = None, 0
    if not name or not port:
        raise InvalidInput(Violation("api_url", "URL_FORMAT", f"{url!r} is not of the form http://host:port"))
    host = f"[{name}]" if ":" in name else name
    return f"{host}:{port}", scheme == "https"


def without_secrets(address: str) -> str:
    """`address` as anyone may see it: of a URL only its scheme, host and port."""
    scheme, separator, rest = address.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return address.rpartition("@")[2]
    return scheme + separator + re.split(r"[/?#]", rest)[0].rpartition("@")[2]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Where this machine finds a server that listens at `host`: a wildcard is no address to dial."""
    try:
        return "127.0.0.1" if ipaddress.ip_address(host).is_unspecified else host
    except ValueError:
        return host
