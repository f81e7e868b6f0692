"""A Registry on the wire whose watch says what a test wrote down."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from devteam_cli.ports import free_port

from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import registry_pb2_grpc
from tests.fakes.ids import CountingIds

Context = grpc.aio.ServicerContext[Any, Any]


class ScriptedRegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Every watch plays the script from its start, then waits for more. An error in it ends the watch with it."""

    def __init__(self, *script: pb.WatchWorkersResponse) -> None:
        self.script: list[pb.WatchWorkersResponse | Exception] = [*script]
        self.watches = 0
        # Reports of links as they came; they are answered once the gate is open, with the errors first.
        self.reports: asyncio.Queue[pb.ReportLinksRequest] = asyncio.Queue()
        self.report_gate = asyncio.Event()
        self.report_gate.set()
        self.report_errors: deque[Exception] = deque()
        self._news = asyncio.Event()

    def tell(self, event: pb.WatchWorkersResponse | Exception) -> None:
        """Say this too, to whoever watches now or later."""
        self.script.append(event)
        self._news.set()

    async def WatchWorkers(
        self, request: pb.WatchWorkersRequest, context: Context
    ) -> AsyncGenerator[pb.WatchWorkersResponse, None]:
        self.watches += 1
        told = 0
        while True:
            self._news.clear()
            for event in self.script[told:]:
                told += 1
                if isinstance(event, Exception):
                    raise event
                yield event
            await self._news.wait()

    async def RegisterWorker(self, request: pb.RegisterWorkerRequest, context: Context) -> pb.RegisterWorkerResponse:
        raise NotImplementedError

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Context) -> pb.HeartbeatResponse:
        raise NotImplementedError

    async def DeregisterWorker(
        self, request: pb.DeregisterWorkerRequest, context: Context
    ) -> pb.DeregisterWorkerResponse:
        raise NotImplementedError

    async def GetWorker(self, request: pb.GetWorkerRequest, context: Context) -> pb.GetWorkerResponse:
        raise NotImplementedError

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        raise NotImplementedError

    async def UpdateWorker(self, request: pb.UpdateWorkerRequest, context: Context) -> pb.UpdateWorkerResponse:
        raise NotImplementedError

    async def GetRouting(self, request: pb.GetRoutingRequest, context: Context) -> pb.GetRoutingResponse:
        raise NotImplementedError

    async def UpdateRouting(self, request: pb.UpdateRoutingRequest, context: Context) -> pb.UpdateRoutingResponse:
        raise NotImplementedError

    async def UpdateQueue(self, request: pb.UpdateQueueRequest, context: Context) -> pb.UpdateQueueResponse:
        raise NotImplementedError

    async def GetRegistryStatus(
        self, request: pb.GetRegistryStatusRequest, context: Context
    ) -> pb.GetRegistryStatusResponse:
        raise NotImplementedError

    async def ReportLinks(self, request: pb.ReportLinksRequest, context: Context) -> pb.ReportLinksResponse:
        self.reports.put_nowait(request)
        await self.report_gate.wait()
        if self.report_errors:
            raise self.report_errors.popleft()
        return pb.ReportLinksResponse()


@asynccontextmanager
async def registry_serving(servicer: ScriptedRegistryServicer, port: int = 0) -> AsyncIterator[MeshServer]:
    """The servicer behind the mesh's own interceptors."""
    server = MeshServer(Listen(port=port or free_port(), stop_grace=0.1), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.server)
    server.serve(["devteam.v1.RegistryService"])
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def a_record(worker_id: str, *, instance_id: str = "i1", session_digest: str = "") -> pb.WorkerRecord:
    """A healthy worker with two slots of `default`."""
    queues = [pb.WorkerQueue(name="default", concurrency=2)]
    worker = pb.Worker(
        worker_id=worker_id,
        instance_id=instance_id,
        spec=pb.WorkerSpec(worker_id=worker_id, queues=queues),
        state=pb.WORKER_STATE_HEALTHY,
        availability=pb.AVAILABILITY_OPEN,
    )
    return pb.WorkerRecord(worker=worker, session_digest=session_digest)


def snapshot(*worker_ids: str, complete: bool = True) -> pb.WatchWorkersResponse:
    """Part of the list that a watch begins with."""
    records = [a_record(worker_id) for worker_id in worker_ids]
    return pb.WatchWorkersResponse(snapshot=pb.WorkerSnapshot(workers=records, complete=complete))


def changed(worker_id: str, **rest: str) -> pb.WatchWorkersResponse:
    """A new or different worker."""
    return pb.WatchWorkersResponse(changed=a_record(worker_id, **rest))


def removed(worker_id: str) -> pb.WatchWorkersResponse:
    """A worker that left."""
    return pb.WatchWorkersResponse(removed=pb.WorkerRemoval(worker_id=worker_id))
