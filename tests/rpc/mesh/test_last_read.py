"""A handler that still reads and writes when its server has stopped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from structlog.testing import capture_logs

from devteam.mesh.interceptors.call import Call, CallInterceptor
from devteam.mesh.interceptors.errors import error_layer
from devteam.v1 import worker_pb2 as pb
from devteam.v1 import worker_pb2_grpc
from tests.fakes.ids import CountingIds

PATIENCE = 30.0


class Lingering(worker_pb2_grpc.WorkerServiceServicer):
    """Notices that it is over, and then reads what is left, or says a last word, once it may."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads
        self.may = asyncio.Event()
        self.read: list[pb.ConnectRequest] | None = None
        self.over = asyncio.Event()

    @asynccontextmanager
    async def around(self, _call: Call) -> AsyncIterator[None]:
        """The outermost layer."""
        try:
            yield
        finally:
            self.over.set()

    async def Connect(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[pb.ConnectRequest], context: Any
    ) -> AsyncGenerator[pb.ConnectResponse, None]:
        yield pb.ConnectResponse()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.may.wait()
            if self.reads:
                self.read = [request async for request in requests]
                raise
            yield pb.ConnectResponse()


async def outlived(servicer: Lingering) -> list[Any]:
    """What is logged when its server has stopped before it goes on."""
    server = grpc.aio.server(interceptors=[CallInterceptor([servicer.around, error_layer(CountingIds())])])
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = worker_pb2_grpc.WorkerServiceStub(channel).Connect()
            await call.read()
            await server.stop(None)
            servicer.may.set()
            await servicer.over.wait()
    return logs


async def test_reading_on_is_no_defect() -> None:
    """What comes is the end of the messages."""
    servicer = Lingering(reads=True)
    assert await outlived(servicer) == []
    assert servicer.read == []


async def test_nor_is_a_word_that_nobody_hears_any_more() -> None:
    assert await outlived(Lingering(reads=False)) == []
