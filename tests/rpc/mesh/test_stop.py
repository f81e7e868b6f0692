"""How a server goes down, seen from the wire."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from devteam.mesh.errors import Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.status import from_rpc
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import Gated, Misbehaving

# Nothing below may come near it.
LONG = 600.0
PATIENCE = 60.0


@asynccontextmanager
async def serving(
    servicer: Misbehaving, *, stop_grace: float = LONG
) -> AsyncIterator[tuple[MeshServer, grpc.aio.Channel]]:
    server = MeshServer(Listen(port=0, call_timeout=LONG, stop_grace=stop_grace), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.server)
    server.serve(["devteam.v1.RegistryService"])
    await server.start()
    async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        try:
            yield server, channel
        finally:
            await server.stop()


def get(channel: grpc.aio.Channel, how: str) -> Any:
    return registry_pb2_grpc.RegistryServiceStub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id=how))


def watch(channel: grpc.aio.Channel, then: str) -> Any:
    stub = registry_pb2_grpc.RegistryServiceStub(channel)
    return stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), metadata=(("then", then),))


async def drained(call: Any) -> Unavailable:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = from_rpc(caught.value)
    assert isinstance(error, Unavailable)
    assert (error.reason, error.retry_after) == ("DRAINING", 1.0)
    return error


async def read_out(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_client_that_does_not_read_keeps_no_server_up() -> None:
    async with serving(Misbehaving()) as (server, channel):
        call = watch(channel, "flood")
        await call.read()
        # Until both buffers between the two are full.
        await asyncio.sleep(0.3)
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < PATIENCE / 4
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_out(call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_that_reads_hears_the_reason_in_the_middle_of_a_flood() -> None:
    async with serving(Misbehaving()) as (server, channel):
        call = watch(channel, "flood")
        await call.read()
        await asyncio.gather(drained(read_out(call)), server.stop())


async def test_a_call_in_flight_is_answered_while_newer_ones_are_sent_elsewhere() -> None:
    servicer = Gated()
    async with serving(servicer) as (server, channel):
        answer = asyncio.ensure_future(get(channel, "gate"))
        stream = watch(channel, "wait")
        await asyncio.gather(stream.read(), servicer.entered.wait())
        stopping = asyncio.create_task(server.stop())
        await drained(read_out(stream))
        await drained(get(channel, "late"))
        servicer.gate.set()
        assert (await answer).worker.worker_id == "gate"
        await stopping


async def test_a_call_that_takes_longer_than_the_grace_is_told_so() -> None:
    servicer = Gated()
    async with serving(servicer, stop_grace=0.2) as (server, channel):
        answer = asyncio.ensure_future(get(channel, "gate"))
        await servicer.entered.wait()
        await asyncio.gather(drained(answer), server.stop())
