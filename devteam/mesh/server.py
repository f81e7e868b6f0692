"""A gRPC server as every service of the mesh runs it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from devteam.mesh import options
from devteam.mesh.access.audit import AuditLog
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.exposure import lacking
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors.auth import Authorizer, Doorkeeper, LoopbackAuthorizer, auth_layer
from devteam.mesh.interceptors.call import CallInterceptor, Layer, lets_in, reads_at_once
from devteam.mesh.interceptors.deadline import deadline_layer
from devteam.mesh.interceptors.drain import OpenCalls
from devteam.mesh.interceptors.errors import error_layer
from devteam.mesh.interceptors.log import log_layer, refusal_layer
from devteam.mesh.interceptors.metrics import metrics_layer
from devteam.mesh.interceptors.trace import trace_layer
from devteam.mesh.reflection import reflect
from devteam.mesh.server_credentials import server_credentials
from devteam.mesh.tls import TlsFiles

_log = structlog.get_logger()

# Seconds for the last messages and statuses to reach those who read, on a busy machine too.
_LAST_WORDS = 2.0


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, and how to stop."""

    host: str = "127.0.0.1"
    port: int = 7400
    # Seconds that a unary call may take.
    call_timeout: float = 10.0
    # Seconds for unary calls to end once the server stops.
    stop_grace: float = 5.0
    # Said on purpose: listen beyond this machine without TLS and keys.
    insecure: bool = False
    # Speak TLS. None: plain text.
    tls: TlsFiles | None = None
    # Only with those who show a certificate that `tls.ca` signed.
    client_certs: bool = False


@dataclass(slots=True)
class MeshServer:
    """One server, the services mounted on it, and the order in which it goes down.

    Mount servicers with the generated `add_...` functions on `server`, name them with `serve`, then `start`.
    """

    listen: Listen
    ids: Ids
    authorizer: Authorizer = field(default_factory=LoopbackAuthorizer)
    # The keys that callers are judged by. None: no keys are asked for.
    keyring: Keyring | None = None
    # Layers between the decision who calls and the handler.
    limits: Sequence[Layer] = ()
    audit: AuditLog = field(default_factory=AuditLog)
    port: int = field(default=0, init=False)
    server: grpc.aio.Server = field(init=False)
    _health: health.aio.HealthServicer = field(default_factory=health.aio.HealthServicer, init=False)
    _names: list[str] = field(default_factory=list, init=False)
    _calls: OpenCalls = field(default_factory=OpenCalls, init=False)
    _drains: list[Callable[[], Awaitable[None]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        refuse_exposure(self.listen, keys=self.keyring is not None)
        errors, auth = error_layer(self.ids), auth_layer(self.authorizer)
        refusals = refusal_layer(self.audit.proxies)
        layers = (
            log_layer,
            errors,
            self._calls.layer,
            refusals,
            metrics_layer,
            trace_layer,
            self.audit.layer,
            auth,
            *self.limits,
            deadline_layer(self.listen.call_timeout),
        )
        library = (log_layer, errors, refusals, auth, *self.limits)
        keeper = self.authorizer if isinstance(self.authorizer, Doorkeeper) else None
        interceptor = CallInterceptor(
            layers,
            library=library,
            turns_away=keeper.turns_away if keeper else lets_in,
            reads_late=keeper.reads_late if keeper else reads_at_once,
        )
        self.server = grpc.aio.server(interceptors=[interceptor], options=options.SERVER)

    @property
    def lacks(self) -> str:
        """What it goes without, though others than this machine can reach it; empty: nothing."""
        return _lacking(self.listen, keys=self.keyring is not None)

    def serve(self, names: Iterable[str], drain: Callable[[], Awaitable[None]] | None = None) -> None:
        """Announce services by their full names; `drain` is awaited before the server stops."""
        self._names.extend(names)
        if drain is not None:
            self._drains.append(drain)

    async def start(self) -> int:
        """Begin to answer, and return the port.

        Raises FailedPrecondition when the port is taken, or when the certificate files cannot be used.
        """
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflect((*self._names, health.SERVICE_NAME), self.server)
        address = f"{self.listen.host}:{self.listen.port}"
        try:
            self.port = self._bind(address)
        except RuntimeError:
            raise FailedPrecondition(
                f"cannot listen on {address}: the port is taken; stop what uses it or choose another port",
                reason="PORT_TAKEN",
            ) from None
        await self.server.start()
        _log.info("server started", host=self.listen.host, port=self.port, services=self._names)
        return self.port

    def _bind(self, address: str) -> int:
        """Raises RuntimeError when the port is taken."""
        tls = self.listen.tls
        if tls is None:
            return self.server.add_insecure_port(address)
        credentials = server_credentials(tls, client_certs=self.listen.client_certs)
        return self.server.add_secure_port(address, credentials)

    async def announce(self, names: Iterable[str], *, serving: bool) -> None:
        """Tell whoever asks for health that services can be used, or cannot for now. Harmless once stopping."""
        state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in names:
            await self._health.set(name, state)

    async def stop(self) -> None:
        """Say NOT_SERVING, let the services drain, end the streams, let running calls end, and close.

        Not a second longer for clients that do not read: they hear no reason.
        """
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(drain() for drain in self._drains))
        await self._calls.end(self.listen.stop_grace)
        await self.server.stop(_LAST_WORDS)


def refuse_exposure(listen: Listen, *, keys: bool = False, remedy: str = "give it what it lacks") -> None:
    """Refuse to listen beyond this machine without TLS, or without asking who calls, unless that was said on purpose.

    `keys`: callers are asked for a key. `remedy`: what to do about it. Raises FailedPrecondition.
    """
    missing = _lacking(listen, keys=keys)
    if listen.insecure or not missing:
        return
    raise FailedPrecondition(
        f"refusing to listen on {listen.host}: anyone who can reach this machine could run work on it or read along, "
        f"because it lacks {missing}. Listen on 127.0.0.1, {remedy}, or say --insecure-i-know.",
        reason="EXPOSED_WITHOUT_AUTH",
    )


def _lacking(listen: Listen, *, keys: bool) -> str:
    return lacking(listen.host, tls=listen.tls is not None, asks=keys or listen.client_certs)
