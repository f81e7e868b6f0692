"""A client's way to a server."""

import asyncio

import grpc

from devteam.mesh.channel import open_channel
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.name_server import name_server
from tests.fakes.relay import Relay


def registry_at(host: str, port: int) -> MeshServer:
    server = MeshServer(Listen(host, port), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Misbehaving(), server.server)
    return server


async def first_word(channel: grpc.aio.Channel) -> str:
    stub = registry_pb2_grpc.RegistryServiceStub(channel)
    watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), wait_for_ready=True)
    first = await watch.read()
    assert isinstance(first, registry_pb2.WatchWorkersResponse)
    watch.cancel()
    return first.removed.worker_id


async def test_a_server_that_is_slow_to_greet_is_waited_for() -> None:
    """It is far away, or its machine is busy: that is no reason to call it unreachable."""
    server = registry_at("127.0.0.1", 0)
    relay = Relay("127.0.0.1", await server.start())
    relay.delay = 0.5
    async with asyncio.timeout(60), open_channel(f"http://127.0.0.1:{relay.open()}") as channel:
        assert await first_word(channel) == "first"
    await relay.cut()
    await server.stop()


async def test_a_server_that_moved_is_found_before_workers_are_given_up() -> None:
    """A pod that was replaced has its old name and a new address; link_grace is 10 s."""
    old = registry_at("127.0.0.1", 0)
    port = await old.start()
    async with (
        asyncio.timeout(60),
        name_server("127.0.0.1") as (names, asked_at),
        open_channel(f"dns://127.0.0.1:{asked_at}/pod.example:{port}") as channel,
    ):
        assert await first_word(channel) == "first"
        await old.stop()
        names.address = "127.0.0.2"
        new = registry_at("127.0.0.2", port)
        await new.start()
        async with asyncio.timeout(10):
            assert await first_word(channel) == "first"
        await new.stop()
    assert names.asked > 1
