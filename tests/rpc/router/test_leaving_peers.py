"""A Router that leaves while another one asks it something."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from devteam_router import peer_client
from devteam_router.peer_client import PeerClient
from devteam_router.peers import Peers, ThrottleWord
from devteam_router.servicer import RouterServicer

from devteam.mesh.tasks import background
from devteam.v1 import router_pb2, router_pb2_grpc
from tests.fakes.standing import a_standing
from tests.rpc.router.mesh import Mesh

PATIENCE = 60.0
MINE = router_pb2.ListQueuesRequest(local=True)


class Mute(RouterServicer):
    """A Router that answers to a throttle once a test wants it to."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__(mesh.core, PeerClient(mesh.core.peers), mesh.clock, a_standing("router", mesh.clock))
        self.told = asyncio.Event()
        self.answers = asyncio.Event()
        self.address = ""

    async def ShareThrottle(  # noqa: N802 - the contract's name
        self, request: router_pb2.ShareThrottleRequest, context: Any
    ) -> router_pb2.ShareThrottleResponse:
        self.told.set()
        await self.answers.wait()
        return router_pb2.ShareThrottleResponse()


@pytest.fixture
async def mute(mesh: Mesh) -> AsyncIterator[Mute]:
    mute, server = Mute(mesh), grpc.aio.server()
    router_pb2_grpc.add_RouterServiceServicer_to_server(mute, server)
    mute.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield mute
    await server.stop(0)


@pytest.fixture
async def peers(mesh: Mesh, mute: Mute, monkeypatch: pytest.MonkeyPatch) -> Peers:
    """Those of a third Router, which has just told both of a throttle."""
    monkeypatch.setattr(peer_client, "_CALL_TIMEOUT", PATIENCE)
    peers = Peers("router-3", mesh.core.gates)
    peers.are({"router-1": address_of(mesh), "router-2": mute.address})
    peers.tell(ThrottleWord("opus", 30.0, "429"))
    return peers


def address_of(mesh: Mesh) -> str:
    return f"http://127.0.0.1:{mesh.server.port}"


async def heard(mesh: Mesh, model: str) -> None:
    """Ask until this Router knows of the throttle."""
    async with asyncio.timeout(PATIENCE):
        while model not in [known.model for known in (await mesh.stub.ListQueues(MINE)).throttles]:
            pass


async def test_the_others_are_told_on(mesh: Mesh, mute: Mute, peers: Peers) -> None:
    async with PeerClient(peers) as client, background(client.run):
        await asyncio.wait_for(mute.told.wait(), PATIENCE)
        peers.are({"router-1": address_of(mesh)})
        # Whoever asks the others closes what leads to those that are gone.
        await client.queue([], "default")
        mute.answers.set()
        peers.tell(ThrottleWord("haiku", 30.0, "429"))
        await heard(mesh, "haiku")


async def test_the_channel_to_it_is_closed_once_nobody_asks_on_it(mesh: Mesh, mute: Mute, peers: Peers) -> None:
    async with PeerClient(peers) as client, background(client.run):
        await asyncio.wait_for(mute.told.wait(), PATIENCE)
        peers.are({"router-1": address_of(mesh)})
        await client.queue([], "default")
        assert mute.address in client._known
        mute.answers.set()
        async with asyncio.timeout(PATIENCE):
            while mute.address in client._known:
                await client.queue([], "default")
        assert list(client._known) == [address_of(mesh)]
