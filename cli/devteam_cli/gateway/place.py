"""Where the front door stands: what differs between a laptop, a host with containers and a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass

from devteam.mesh.address import is_loopback
from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.tls import TlsFiles

# Calls a second that one address, or network of IPv6, may make; ten times as many at once. Streams count once, when
# they are opened.
DEFAULT_RATE = 200


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, field: str, text: str) -> "Address":
        """Read "host:port" or "[::1]:port". Raises InvalidInput that names `field`."""
        host, _, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not bare or (":" in bare and bare == host) or not port.isascii() or not port.isdigit():
            raise InvalidInput(Violation(field, "INVALID_VALUE", f"{text!r} is not of the form host:port"))
        if not 0 < int(port) < 65536:
            raise InvalidInput(Violation(field, "INVALID_VALUE", f"{port} is no port; it must be 1 to 65535"))
        return cls(bare, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """One place. Files are named as Envoy finds them from the folder that it starts in."""

    listen: Address
    registry: Address
    router: Address
    planner: Address
    # Where `devteam ui` serves the page. None: there is none here.
    page: Address | None = None
    # Where spans go, as OTLP over gRPC. None: nowhere.
    collector: Address | None = None
    # The certificate that callers are shown. None: plain text.
    certificate: TlsFiles | None = None
    # How the services are spoken to: whose certificates are believed (without a `ca` anybody's, which is for a mesh on
    # the same machine), and what is shown to them. None: plain text.
    upstream: TlsFiles | None = None
    # Pages of other origins that may call from browsers: "https://app.example".
    origins: Sequence[str] = ()
    # Names under which the mesh is called, beside addresses and localhost. None: any.
    names: Sequence[str] | None = None
    rate: int = DEFAULT_RATE

    @property
    def scheme(self) -> str:
        """Of its URL."""
        return "https" if self.certificate else "http"

    @property
    def own_origins(self) -> list[str]:
        """As browsers name pages that come from here, by the names that this machine has for itself."""
        hosts = {"localhost", "127.0.0.1", "[::1]"} if is_loopback(self.listen.host) else set()
        return sorted(f"{self.scheme}://{host}:{self.listen.port}" for host in hosts)
