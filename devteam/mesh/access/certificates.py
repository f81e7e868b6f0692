"""Callers that are known by a certificate instead of a key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.validation import NAME_PATTERN

_BELOW = "/*"
# gRPC fills it from the URIs of a certificate that it has verified, and from nothing else.
_URIS: Final = "peer_uri"
_TRANSPORT: Final = "transport_security_type"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the URI of a certificate stands for; with /* at its end, each URI below. Raises ValueError."""

    # A misspelt "tenant" would be every tenant.
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    uri: str
    role: Role
    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    # What stands in the place of the * is the worker's id.
    worker_id_from_uri: bool = False

    def __post_init__(self) -> None:
        if "://" not in self.uri or "*" in self.uri.removesuffix(_BELOW):
            raise ValueError("uri must be like spiffe://mesh/router, or spiffe://mesh/workers/*")
        if self.worker_id_from_uri and (self.worker_id or not self.uri.endswith(_BELOW)):
            raise ValueError("worker_id_from_uri needs a uri that ends in /*, and no worker_id")

    def caller(self, uri: str) -> Caller | None:
        """Whom a certificate with this URI stands for here; None: it is none of these."""
        below = self._below(uri)
        if below is None or (self.worker_id_from_uri and not NAME_PATTERN.fullmatch(below)):
            return None
        worker_id = below if self.worker_id_from_uri else self.worker_id
        return Caller(self.role, name=uri, tenant=self.tenant, queues=self.queues, worker_id=worker_id)

    def _below(self, uri: str) -> str | None:
        if not self.uri.endswith(_BELOW):
            return "" if uri == self.uri else None
        start = self.uri.removesuffix("*")
        return uri.removeprefix(start) or None if uri.startswith(start) else None


def identified(identities: Iterable[Identity], auth_context: Mapping[str, Iterable[Any]]) -> Caller | None:
    """Whom a connection's certificate stands for: by the first identity that fits. None: for nobody.

    A certificate with several URIs names nobody: that is how SPIFFE has it.
    """
    uris = [_text(uri) for uri in auth_context.get(_URIS, ())]
    if len(uris) != 1 or [_text(kind) for kind in auth_context.get(_TRANSPORT, ())] != ["ssl"]:
        return None
    callers = (identity.caller(uris[0]) for identity in identities)
    return next((caller for caller in callers if caller is not None), None)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
