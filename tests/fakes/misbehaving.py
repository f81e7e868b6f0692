"""Services whose handlers go wrong in every way that handlers can."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from devteam.mesh import errors
from devteam.v1 import registry_pb2, registry_pb2_grpc, worker_pb2, worker_pb2_grpc

# Must never reach a caller.
CANARY = "secret-api-key-123"


class Misbehaving(registry_pb2_grpc.RegistryServiceServicer):
    """GetWorker does what the worker's id says; WatchWorkers does it after one message."""

    async def GetWorker(self, request: registry_pb2.GetWorkerRequest, context: Any) -> registry_pb2.GetWorkerResponse:
        await misbehave(request.worker_id)
        return registry_pb2.GetWorkerResponse(worker=registry_pb2.Worker(worker_id=request.worker_id))

    async def WatchWorkers(
        self, request: registry_pb2.WatchWorkersRequest, context: Any
    ) -> AsyncGenerator[registry_pb2.WatchWorkersResponse, None]:
        yield registry_pb2.WatchWorkersResponse(removed=registry_pb2.WorkerRemoval(worker_id="first"))
        how = dict(context.invocation_metadata()).get("then", "wait")
        while how == "flood":
            yield registry_pb2.WatchWorkersResponse(removed=registry_pb2.WorkerRemoval(reason="x" * 100_000))
        await misbehave(how)

    RegisterWorker = Heartbeat = DeregisterWorker = GetWorker  # type: ignore[assignment]  # all alike
    ListWorkers = UpdateWorker = ReportLinks = GetWorker  # type: ignore[assignment]  # all alike
    GetRouting = UpdateRouting = UpdateQueue = GetRegistryStatus = GetWorker  # type: ignore[assignment]  # all alike


class Gated(Misbehaving):
    """Asked for "gate", it answers once the gate is open."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.left = asyncio.Event()

    async def GetWorker(self, request: registry_pb2.GetWorkerRequest, context: Any) -> registry_pb2.GetWorkerResponse:
        if request.worker_id == "gate":
            self.entered.set()
            try:
                await self.gate.wait()
            finally:
                self.left.set()
        return await super().GetWorker(request, context)


class Echoing(worker_pb2_grpc.WorkerServiceServicer):
    """Answers every beat."""

    async def Connect(
        self, request: AsyncIterator[worker_pb2.ConnectRequest], context: Any
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        async for message in request:
            yield worker_pb2.ConnectResponse(beat_ack=worker_pb2.BeatAck(number=message.beat.number))


async def misbehave(how: str) -> None:
    match how:
        case "refuse":
            raise errors.NotFound("worker", "w1")
        case "break":
            raise ValueError(CANARY)
        case "cancel":
            raise asyncio.CancelledError
        case "wait":
            await asyncio.Event().wait()
