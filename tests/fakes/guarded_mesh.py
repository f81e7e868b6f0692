"""A server with every method that a mesh has, behind the real gate; its handlers answer with nothing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from devteam.keda import externalscaler_pb2
from devteam.mesh import status
from devteam.mesh.access.caller import Caller, Role, current_caller
from devteam.mesh.access.gate import Gate, gate_of
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import KeyRecord, Keyring
from devteam.mesh.clock import Clock
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.settings import ServiceSettings
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2
from tests.fakes.ids import CountingIds

PATIENCE = 30.0
MESH_KEY = mint("m").secret

_OWN = (access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2)
_FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR for module in (*_OWN, externalscaler_pb2, trace_service_pb2)
)
_LIBRARY: tuple[FileDescriptor, ...] = (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
_KINDS = {Role.CLIENT: "c", Role.WORKER: "w", Role.OPERATOR: "o", Role.ADMIN: "a"}


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def methods_of(*files: FileDescriptor) -> Iterator[MethodDescriptor]:
    for file in files:
        for service in file.services_by_name.values():
            yield from service.methods


# All that a mesh serves, by path. The second version of reflection has no descriptor: it is the first by another name.
METHODS = {path_of(method): method for method in methods_of(*_FILES, *_LIBRARY)}
METHODS |= {
    path.replace(".v1alpha.", ".v1."): method for path, method in METHODS.items() if ".reflection.v1alpha." in path
}


@dataclass(slots=True)
class GuardedMesh:
    """The server, and the keys that it knows."""

    gate: Gate
    server: MeshServer
    channel: Any = None
    tls_port: int = 0
    # Who made each call that reached its handler.
    callers: list[Caller] = field(default_factory=list)
    # Streams say something all the time.
    flood: bool = False
    # Otherwise they stay open after their first message until it is set.
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 60_000)))

    @property
    def keyring(self) -> Keyring:
        assert self.gate.keyring is not None
        return self.gate.keyring

    def key(self, role: Role, *, expires_at: datetime | None = None, **more: Any) -> str:
        """A key that is valid from now on."""
        minted = mint(_KINDS[role])
        caller = Caller(role, minted.key_id, expires_at=expires_at, **more)
        self.keyring.put(KeyRecord(caller, minted.digest))
        return minted.secret

    def revoke(self, secret: str) -> None:
        """End a key."""
        key_id = secret.split("_")[1]
        self.keyring.put(KeyRecord(Caller(Role.CLIENT, key_id), b"", revoked=True))

    def elsewhere(self) -> tuple[str, str]:
        """Metadata of a call from an address that no other call came from."""
        number = next(self._addresses)
        return ("x-forwarded-for", f"10.0.{number >> 8}.{number & 255}")

    def call(self, path: str, key: str = "", *metadata: tuple[str, str], request: bytes = b"") -> Any:
        """Make a call; to one with many requests they are to be written."""
        method = METHODS[path]
        shown = (*metadata, *((("authorization", f"Bearer {key}"),) if key else ()))
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        requests = () if method.client_streaming else (request,)
        return getattr(self.channel, kind)(path)(*requests, metadata=shown, timeout=PATIENCE)

    async def outcome(self, path: str, key: str = "", *metadata: tuple[str, str]) -> tuple[str, str]:
        """How a call begins: its code, and the reason of a refusal."""
        call = self.call(path, key, *metadata)
        try:
            await _begun(call, METHODS[path])
        except grpc.aio.AioRpcError as error:
            # gRPC's client takes it for an error of its own when a stream is refused while it writes to it.
            if error.code() is grpc.StatusCode.INTERNAL and METHODS[path].client_streaming:
                return await self.outcome(path, key, *metadata)
            return error.code().name, status.from_rpc(error).reason
        call.cancel()
        return "OK", ""


async def _begun(call: Any, method: MethodDescriptor) -> None:
    if not method.server_streaming:
        await call
        return
    if method.client_streaming:
        with suppress(asyncio.InvalidStateError):  # it has been refused already
            await call.write(b"")
    await call.read()


@asynccontextmanager
async def guarded_mesh(
    clock: Clock, *, flood: bool = False, tls: grpc.ServerCredentials | None = None, **settings: Any
) -> AsyncIterator[GuardedMesh]:
    """A mesh that asks for keys; calls from this machine are believed to come from where they say.

    With `tls` it listens at a second port too.
    """
    given = {"keys": True, "mesh_key": MESH_KEY, "trusted_proxies": ["127.0.0.0/8"], **settings}
    gate = gate_of(ServiceSettings(**given), clock)
    listen = Listen(port=0, call_timeout=PATIENCE, stop_grace=0.1)
    server = MeshServer(listen, CountingIds(), gate.authorizer, gate.keyring, gate.limits, gate.audit)
    if gate.keyring is not None:
        gate.keyring.replace([])
    mesh = GuardedMesh(gate, server, flood=flood)
    for service in (service for file in _FILES for service in file.services_by_name.values()):
        handlers = {method.name: _handler(method, mesh) for method in service.methods}
        server.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    if tls is not None:
        mesh.tls_port = server.server.add_secure_port("127.0.0.1:0", tls)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as mesh.channel:
            yield mesh
    finally:
        await server.stop()


def _handler(method: MethodDescriptor, mesh: GuardedMesh) -> Any:
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    async def one(_request: object, _context: object) -> object:
        mesh.callers.append(current_caller())
        return response()

    async def many(requests: Any, _context: object) -> AsyncGenerator[object, None]:
        mesh.callers.append(current_caller())
        yield response()
        while mesh.flood:
            yield response()
        if method.client_streaming:
            async for _ in requests:
                yield response()
        await mesh.over.wait()

    kind = "stream_stream" if method.client_streaming else "unary_stream" if method.server_streaming else "unary_unary"
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        many if method.server_streaming else one,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
