"""A Registry on a real server, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from devteam_cli.ports import free_port
from devteam_registry.app import mounted
from devteam_registry.settings import Settings
from google.protobuf.field_mask_pb2 import FieldMask

from devteam.mesh.access.keyring import Keyring
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import DevTeamError, InvalidInput
from devteam.mesh.interceptors.auth import Authorizer, LoopbackAuthorizer
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import background
from devteam.v1 import registry_pb2 as pb
from devteam.v1.registry_pb2_grpc import RegistryServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.registry_pb2_grpc import RegistryServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running server, its client, and its clock."""

    server: MeshServer
    channel: grpc.aio.Channel
    stub: "RegistryServiceAsyncStub"
    clock: FakeClock

    async def pass_time(self, seconds: int) -> None:
        """Let the sweeper live through this many seconds."""
        for _ in range(seconds):
            self.clock.advance(1)
            for _ in range(5):
                await asyncio.sleep(0)

    async def register(self, worker_id: str = "w1", instance_id: str = "i1") -> pb.RegisterWorkerResponse:
        """Register a small worker."""
        return await self.stub.RegisterWorker(
            pb.RegisterWorkerRequest(spec=small_spec(worker_id), instance_id=instance_id)
        )

    async def beat(self, token: str, worker_id: str = "w1", instance_id: str = "i1") -> pb.HeartbeatResponse:
        """Beat once."""
        return await self.stub.Heartbeat(
            pb.HeartbeatRequest(worker_id=worker_id, instance_id=instance_id, session_token=token)
        )


@asynccontextmanager
async def running(
    settings: Settings,
    clock: FakeClock,
    *,
    port: int = 0,
    authorizer: Authorizer | None = None,
    keyring: Keyring | None = None,
) -> AsyncIterator[Mesh]:
    """A Registry with these settings, on a port of its own unless one is given."""
    ids = CountingIds()
    server = MeshServer(
        Listen(port=port or free_port(), stop_grace=0.5), ids, authorizer or LoopbackAuthorizer(), keyring
    )
    async with mounted(server, settings, clock, ids) as job:
        bound = await server.start()
        async with background(job), open_channel(f"http://127.0.0.1:{bound}") as channel:
            try:
                yield Mesh(server, channel, RegistryServiceStub(channel), clock)
            finally:
                await server.stop()


def small_spec(worker_id: str = "w1") -> pb.WorkerSpec:
    """The least that a worker has to declare, and a label."""
    queues = [pb.WorkerQueue(name="default", concurrency=2)]
    return pb.WorkerSpec(worker_id=worker_id, queues=queues, labels={"disk": "ssd"})


def mask(*paths: str) -> FieldMask:
    """The fields that an update means."""
    return FieldMask(paths=paths)


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, DevTeamError]:
    """The status and the domain error that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), from_rpc(caught.value)


async def violations(call: Awaitable[Any]) -> set[tuple[str, str]]:
    """Fields and reasons that a call is refused for."""
    code, error = await refusal(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidInput)
    return {(violation.field, violation.reason) for violation in error.violations}
