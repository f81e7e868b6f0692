"""A Registry that asks for keys, on a real server, and clients that show some."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devteam_cli.ports import free_port
from devteam_registry.app import mounted
from devteam_registry.settings import Settings

from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.channel import open_channel
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.v1 import access_pb2 as pb
from devteam.v1.access_pb2_grpc import AccessServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.keyed_server import keyed_server

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.access_pb2_grpc import AccessServiceAsyncStub

MESH_KEY = mint("m").secret


@dataclass(slots=True)
class KeyedMesh:
    """A running Registry, and whoever calls it."""

    server: MeshServer
    keyring: Keyring
    clock: FakeClock
    stack: AsyncExitStack

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.port}"

    async def as_(self, secret: str = "") -> "AccessServiceAsyncStub":
        """A client that shows this key, or none."""
        stub: AccessServiceAsyncStub = AccessServiceStub(
            await self.stack.enter_async_context(open_channel(self.url, api_key=secret))
        )
        return stub

    async def create(self, secret: str = MESH_KEY, **spec: Any) -> pb.CreateKeyResponse:
        """A key, a client's unless said otherwise."""
        wanted = {"name": "ci", "role": pb.ROLE_CLIENT, "tenant": "team-a"} | spec
        return await (await self.as_(secret)).CreateKey(pb.CreateKeyRequest(spec=pb.KeySpec(**wanted)))  # type: ignore[arg-type]  # of several kinds


@asynccontextmanager
async def keyed_registry(
    clock: FakeClock, *, database_url: str = "memory", port: int = 0, mesh_key: str = MESH_KEY
) -> AsyncIterator[KeyedMesh]:
    """A Registry that asks everyone for a key."""
    ids, keyring = CountingIds(), Keyring(clock, mesh_key)
    server = keyed_server(Listen(port=port or free_port(), stop_grace=0.5), ids, keyring, clock)
    async with AsyncExitStack() as stack, mounted(server, Settings(database_url=database_url), clock, ids) as job:
        await server.start()
        async with background(job):
            try:
                yield KeyedMesh(server, keyring, clock, stack)
            finally:
                await server.stop()
