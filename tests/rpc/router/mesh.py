"""A Router on a real server, and clients of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from devteam_router.domain import Worker
from devteam_router.graces import Graces
from devteam_router.peer_client import PeerClient
from devteam_router.ports import WorkerChanged
from devteam_router.routing import Policy
from devteam_router.scaling.advice import Advice
from devteam_router.scaling.servicer import ScalerServicer
from devteam_router.service import RouterCore
from devteam_router.servicer import RouterServicer, WorkerServicer

from devteam.keda import externalscaler_pb2_grpc
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.auth import Authorizer, LoopbackAuthorizer
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import background
from devteam.v1 import router_pb2, router_pb2_grpc, run_pb2, worker_pb2_grpc
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.router_samples import a_worker
from tests.fakes.standing import a_standing
from tests.fakes.worker_line import WorkerLine

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.router_pb2_grpc import RouterServiceAsyncStub

# Admission is short enough to be waited for by those whom nobody knows; whoever attaches may take its time.
GRACES = Graces(attach=60.0, admission=0.2)
SERVICES = ("devteam.v1.RouterService", "devteam.v1.WorkerService", "externalscaler.ExternalScaler")


class DispatchCall:
    """A Planner's Dispatch; `hear` waits for the next event."""

    def __init__(
        self, call: "grpc.aio.UnaryStreamCall[router_pb2.DispatchRequest, router_pb2.DispatchResponse]"
    ) -> None:
        self._call = call

    async def hear(self) -> router_pb2.DispatchResponse:
        response = await asyncio.wait_for(self._call.read(), 60)
        assert isinstance(response, router_pb2.DispatchResponse), "the stream ended"
        return response

    async def hear_out(self) -> tuple[list[router_pb2.DispatchResponse], tuple[grpc.StatusCode, DevTeamError | None]]:
        """All events to the end, and how the call ended."""
        events: list[router_pb2.DispatchResponse] = []
        try:
            async with asyncio.timeout(60):
                while isinstance(event := await self._call.read(), router_pb2.DispatchResponse):
                    events.append(event)
        except grpc.aio.AioRpcError as error:
            return events, (error.code(), from_rpc(error))
        return events, (await self._call.code(), None)

    def hang_up(self) -> None:
        self._call.cancel()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running server, its Router, its client, and its clock."""

    server: MeshServer
    core: RouterCore
    channel: grpc.aio.Channel
    stub: "RouterServiceAsyncStub"
    clock: FakeClock

    def register(self, worker: Worker | None = None) -> None:
        """The Registry tells the Router of a worker."""
        self.core.hear(WorkerChanged(worker or a_worker()))

    def line(self, metadata: Sequence[tuple[str, str]] = ()) -> WorkerLine:
        """A stream that somebody opens."""
        return WorkerLine(self.channel, metadata)

    async def worker(self, worker: Worker | None = None) -> WorkerLine:
        """A worker that is registered and attached."""
        worker = worker or a_worker()
        self.register(worker)
        line = self.line()
        await line.attach(worker.id, instance_id=worker.instance.instance_id)
        return line

    def dispatch(self, run: run_pb2.Run, **rest: Any) -> DispatchCall:
        """A Planner dispatches."""
        return DispatchCall(self.stub.Dispatch(router_pb2.DispatchRequest(run=run, **rest)))


@asynccontextmanager
async def running(
    clock: FakeClock, graces: Graces = GRACES, *, router_id: str = "router-1", authorizer: Authorizer | None = None
) -> AsyncIterator[Mesh]:
    """A Router on a port of its own. It knows no others until it is told of them."""
    core = RouterCore(Policy(), graces, clock, Random(7), router_id)
    peers = PeerClient(core.peers)
    server = MeshServer(Listen(port=0, stop_grace=0.5), CountingIds(), authorizer or LoopbackAuthorizer())
    router_pb2_grpc.add_RouterServiceServicer_to_server(
        RouterServicer(core, peers, clock, a_standing("router", clock)), server.server
    )
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(core), server.server)
    scaler = ScalerServicer(Advice(core.demand, peers, clock))
    externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server(scaler, server.server)
    server.serve(SERVICES, core.drain)
    port = await server.start()
    async with peers, background(peers.run), open_channel(f"http://127.0.0.1:{port}") as channel:
        try:
            yield Mesh(server, core, channel, router_pb2_grpc.RouterServiceStub(channel), clock)
        finally:
            await server.stop()


def a_run(task_id: str = "t1", attempt: int = 1, **rest: Any) -> run_pb2.Run:
    """A run for the default queue."""
    return run_pb2.Run(**{"task_id": task_id, "attempt": attempt, "prompt": "hello", "model": "haiku", **rest})


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, DevTeamError]:
    """The status and the domain error that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), from_rpc(caught.value)


async def heard_of(stub: "RouterServiceAsyncStub", queue: str) -> None:
    """Ask until the Router knows of a queue: it says nothing by itself."""
    while queue not in [known.name for known in (await stub.ListQueues(router_pb2.ListQueuesRequest())).queues]:
        pass
