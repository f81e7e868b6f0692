"""A Router on the wire that plays what a test wrote down."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from devteam_cli.ports import free_port

from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import router_pb2, router_pb2_grpc
from tests.fakes.ids import CountingIds

Scene = router_pb2.DispatchResponse | Exception | Callable[[], Awaitable[object]]
Context = grpc.aio.ServicerContext[Any, Any]


class ScriptedRouterServicer(router_pb2_grpc.RouterServiceServicer):
    """Plays one script a Dispatch; remembers requests; refuses what it was told to refuse."""

    def __init__(self) -> None:
        self.dispatched: list[router_pb2.DispatchRequest] = []
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.acks: asyncio.Queue[list[router_pb2.DispatchAck]] = asyncio.Queue()
        self.cancels: list[router_pb2.CancelDispatchRequest] = []
        self.ack_gate = asyncio.Event()
        self.ack_gate.set()
        self.refusals: deque[Exception] = deque()
        # What a Dispatch plays that no script is left for.
        self.usual: tuple[Scene, ...] = ()
        self._scripts: deque[tuple[Scene, ...]] = deque()

    def script(self, *scenes: Scene) -> None:
        """What the next Dispatch without a script yet shall play."""
        self._scripts.append(scenes)

    async def Dispatch(
        self, request: router_pb2.DispatchRequest, context: Context
    ) -> AsyncGenerator[router_pb2.DispatchResponse, None]:
        self.dispatched.append(request)
        try:
            for scene in self.usual if self.usual and not self._scripts else self._scripts.popleft():
                if isinstance(scene, Exception):
                    raise scene
                if callable(scene):
                    await scene()
                else:
                    yield scene
        finally:
            self.ended.put_nowait(request.run.task_id)

    async def AckDispatches(
        self, request: router_pb2.AckDispatchesRequest, context: Context
    ) -> router_pb2.AckDispatchesResponse:
        self.acks.put_nowait(list(request.acks))
        await self.ack_gate.wait()
        self._refuse()
        return router_pb2.AckDispatchesResponse()

    async def CancelDispatch(
        self, request: router_pb2.CancelDispatchRequest, context: Context
    ) -> router_pb2.CancelDispatchResponse:
        self._refuse()
        self.cancels.append(request)
        return router_pb2.CancelDispatchResponse()

    async def ShareThrottle(
        self, request: router_pb2.ShareThrottleRequest, context: Context
    ) -> router_pb2.ShareThrottleResponse:
        raise NotImplementedError

    async def Explain(self, request: router_pb2.ExplainRequest, context: Context) -> router_pb2.ExplainResponse:
        raise NotImplementedError

    async def ListQueues(
        self, request: router_pb2.ListQueuesRequest, context: Context
    ) -> router_pb2.ListQueuesResponse:
        raise NotImplementedError

    async def GetQueue(self, request: router_pb2.GetQueueRequest, context: Context) -> router_pb2.GetQueueResponse:
        raise NotImplementedError

    async def GetRouterStatus(
        self, request: router_pb2.GetRouterStatusRequest, context: Context
    ) -> router_pb2.GetRouterStatusResponse:
        raise NotImplementedError

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.popleft()


@asynccontextmanager
async def serving(servicer: ScriptedRouterServicer, port: int = 0) -> AsyncIterator[MeshServer]:
    """The servicer behind the mesh's own interceptors."""
    server = MeshServer(Listen(port=port or free_port(), stop_grace=0.1), CountingIds())
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server.server)
    server.serve(["devteam.v1.RouterService"])
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
