"""Puts together what stands between the wire and the handlers of a process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from devteam.mesh.access.arrivals import Arrivals
from devteam.mesh.access.audit import AuditLog, append
from devteam.mesh.access.authorizer import KeyAuthorizer
from devteam.mesh.access.buckets import Allowance
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.mesh_key import mesh_key_of
from devteam.mesh.access.pace import Pace
from devteam.mesh.access.peer import Proxies
from devteam.mesh.access.rates import Rates
from devteam.mesh.access.rules import Rate
from devteam.mesh.access.streams import KeyStreams
from devteam.mesh.clock import Clock
from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.interceptors.auth import Authorizer, LoopbackAuthorizer
from devteam.mesh.interceptors.call import Layer
from devteam.mesh.settings import ServiceSettings, variable
from devteam.mesh.spans.turns import Turns

# Seconds' worth of messages, and of bytes, that a stream may bring at once: what a worker kept while its line was down.
_MESSAGE_BURST, _SIZE_BURST = 5.0, 8.0


@dataclass(frozen=True, slots=True)
class Gate:
    """For `MeshServer`: who may call, and what is made of it. Without a keyring nobody is asked for a key."""

    authorizer: Authorizer = field(default_factory=LoopbackAuthorizer)
    keyring: Keyring | None = None
    limits: Sequence[Layer] = ()
    audit: AuditLog = field(default_factory=AuditLog)
    # Where spans are taken, too.
    turns: Turns = field(default_factory=Turns)


def gate_of(settings: ServiceSettings, clock: Clock) -> Gate:
    """The gate that settings ask for; its keyring holds the mesh key and no other.

    Raises InvalidInput for keys without a mesh key, for one that is none or that others can read, for identities that
    nobody would be asked for, and for an audit file that cannot be written.
    """
    proxies = Proxies(tuple(settings.trusted_proxies))
    audit = _audit(settings, clock, proxies)
    mesh_key = mesh_key_of(settings)
    _check(settings, mesh_key)
    if not settings.keys:
        return Gate(audit=audit)
    keyring = Keyring(clock, mesh_key)
    rates = Rates(clock, _allowances(settings))
    authorizer = KeyAuthorizer(keyring, clock, rates, identities=settings.identities, proxies=proxies)
    streams = KeyStreams(keyring, clock, settings.streams_per_key)
    limits = (authorizer.quietly, streams.layer, _pace(settings, clock).layer, Arrivals().layer)
    turns = Turns(clock, Allowance(settings.spans_per_second, settings.spans_burst))
    return Gate(authorizer, keyring, limits, audit, turns)


def _allowances(settings: ServiceSettings) -> Mapping[Rate, Allowance]:
    reads = Allowance(settings.reads_per_second, settings.reads_burst)
    return {
        Rate.READ: reads,
        # To open one, or to send a batch, is a read; each kind has its own bucket.
        Rate.STREAM: reads,
        Rate.SPANS: reads,
        Rate.CREATE: Allowance(settings.creates_per_second, settings.creates_burst),
        Rate.WRITE: Allowance(settings.writes_per_second, settings.writes_burst),
    }


def _pace(settings: ServiceSettings, clock: Clock) -> Pace:
    messages, size = settings.stream_messages_per_second, settings.stream_bytes_per_second
    return Pace(clock, Allowance(messages, _MESSAGE_BURST * messages), Allowance(size, _SIZE_BURST * size))


def _audit(settings: ServiceSettings, clock: Clock, proxies: Proxies) -> AuditLog:
    if settings.audit_file is not None:
        try:
            append(settings.audit_file, "")
        except OSError as error:
            raise _refusal(
                settings, "audit_file", f"{settings.audit_file} cannot be written: {error.strerror}"
            ) from None
    return AuditLog(settings.audit_file, clock, proxies)


def _check(settings: ServiceSettings, mesh_key: str) -> None:
    if settings.keys and not mesh_key:
        key = variable(_prefix(settings), "mesh_key")
        raise _refusal(settings, "keys", f"needs the mesh key: set {key}_FILE to the file that holds it, or {key}")
    if settings.identities and not (settings.keys and settings.tls_client_certs):
        needed = " and ".join(variable(_prefix(settings), name) for name in ("keys", "tls_client_certs"))
        raise _refusal(settings, "identities", f"needs {needed}: nobody is asked for a certificate otherwise")


def _prefix(settings: ServiceSettings) -> str:
    return str(settings.model_config.get("env_prefix", ""))


def _refusal(settings: ServiceSettings, name: str, message: str) -> InvalidInput:
    return InvalidInput(Violation(variable(_prefix(settings), name), "INVALID_VALUE", message))
