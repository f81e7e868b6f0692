"""A mesh that notes what it is asked, and answers what a test says: every method of the contracts, from descriptors."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from devteam_cli.ports import free_port
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2
from tests.fakes.ids import CountingIds

CONTRACTS: Final = (access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2)
METHODS: Final[Mapping[str, MethodDescriptor]] = {
    f"/{service.full_name}/{method.name}": method
    for contract in CONTRACTS
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_SERVICES = ("RegistryService", "RouterService", "PlannerService")


@dataclass(frozen=True, slots=True)
class Call:
    """One that came."""

    method: str
    # The first message, where the caller streams.
    request: Message
    metadata: Mapping[str, str]


@dataclass(slots=True)
class EchoingMesh(grpc.GenericRpcHandler):
    """Answers with an empty message. `says` holds other answers, by method: what is said, raised or waited for."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    says: dict[str, list[Message | Exception | asyncio.Event]] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def service(self, details: Any) -> Any:
        """The handler of a method; None for one that is in no contract."""
        method = METHODS.get(details.method)
        if method is None:
            return None
        kind = "stream" if method.client_streaming else "unary"
        sort = "stream" if method.server_streaming else "unary"
        make = getattr(grpc, f"{kind}_{sort}_rpc_method_handler")
        takes, gives = (message_factory.GetMessageClass(it) for it in (method.input_type, method.output_type))
        behaviour = (
            self._streaming(details.method, gives) if sort == "stream" else self._answering(details.method, gives)
        )
        return make(behaviour, takes.FromString, gives.SerializeToString)

    def _answering(self, name: str, gives: Callable[[], Message]) -> Any:
        async def answer(request: Message, context: Any) -> Message:
            self._note(name, request, context)
            for said in self.says.get(name, ()):
                if isinstance(said, Exception):
                    raise said
                if isinstance(said, asyncio.Event):
                    await said.wait()
                else:
                    return said
            return gives()

        return answer

    def _streaming(self, name: str, gives: Callable[[], Message]) -> Any:
        async def stream(request: Any, context: Any) -> AsyncIterator[Message]:
            self._note(name, await anext(request) if hasattr(request, "__anext__") else request, context)
            for said in self.says.get(name) or [gives()]:
                if isinstance(said, Exception):
                    raise said
                if isinstance(said, asyncio.Event):
                    await said.wait()
                else:
                    yield said

        return stream

    def _note(self, name: str, request: Message, context: Any) -> None:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        self.calls.append(Call(name, request, metadata))
        self.came.set()


@asynccontextmanager
async def echoing_mesh(port: int = 0) -> AsyncIterator[EchoingMesh]:
    """One behind the mesh's own interceptors."""
    server = MeshServer(Listen(port=port or free_port(), stop_grace=0.1), CountingIds())
    mesh = EchoingMesh()
    server.server.add_generic_rpc_handlers((mesh,))
    server.serve([f"devteam.v1.{name}" for name in _SERVICES])
    mesh.port = await server.start()
    try:
        yield mesh
    finally:
        await server.stop()
