"""A client's way to a server."""

import asyncio

from devteam.mesh.channel import open_channel
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.relay import Relay


async def test_a_server_that_is_slow_to_greet_is_waited_for() -> None:
    """It is far away, or its machine is busy: that is no reason to call it unreachable."""
    server = MeshServer(Listen(port=0), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Misbehaving(), server.server)
    relay = Relay("127.0.0.1", await server.start())
    relay.delay = 0.5
    async with asyncio.timeout(60), open_channel(f"http://127.0.0.1:{await relay.open()}") as channel:
        watch = registry_pb2_grpc.RegistryServiceStub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest())
        first = await watch.read()
        assert isinstance(first, registry_pb2.WatchWorkersResponse)
        assert first.removed.worker_id == "first"
        watch.cancel()
    await relay.cut()
    await server.stop()
