"""A Registry and a Router on the wire, played by a test."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
from devteam_cli.ports import free_port

from devteam.mesh.errors import Aborted, NotFound
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import cancelled
from devteam.mesh.tls import TlsFiles
from devteam.v1 import access_pb2, registry_pb2, registry_pb2_grpc, run_pb2, status_pb2, worker_pb2, worker_pb2_grpc
from tests.fakes.ids import CountingIds

PATIENCE = 60.0
# Options of the simulated model, which then speaks for an hour unless it is stopped.
ENDLESS = {"tokens": 180_000}

Context = grpc.aio.ServicerContext[Any, Any]


class ScriptedRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows one worker at a time, and wants of it what a test wants.

    `refusals` are raised, one a call, by the calls named; a worker that was never registered is not known.
    """

    def __init__(self) -> None:
        self.interval = 30.0
        self.router_addresses: list[str] = []
        self.concurrency = 0
        self.availability = registry_pb2.AVAILABILITY_OPEN
        # Seconds, in every answer to a beat.
        self.drain_deadline: float | None = None
        self.refusals: dict[str, deque[Exception]] = {
            "RegisterWorker": deque(),
            "Heartbeat": deque(),
            "GetIdentity": deque(),
            "GetRegistryStatus": deque(),
        }
        self.registrations: asyncio.Queue[registry_pb2.RegisterWorkerRequest] = asyncio.Queue()
        self.beats: asyncio.Queue[registry_pb2.HeartbeatRequest] = asyncio.Queue()
        self.farewells: asyncio.Queue[registry_pb2.DeregisterWorkerRequest] = asyncio.Queue()
        # A farewell is answered once it is open.
        self.gate = asyncio.Event()
        self.gate.set()
        # What ListWorkers says, its page left out.
        self.listed: list[registry_pb2.Worker] = []
        # What GetRegistryStatus says.
        self.status = status_pb2.ServiceStatus(name="registry")
        # Whom it takes callers for.
        self.identity = access_pb2.GetIdentityResponse(role=access_pb2.ROLE_ADMIN)
        # What callers showed as their key, by method.
        self.keys: dict[str, object] = {}
        # The session that counts; empty when the worker is not known.
        self.session = ""
        self._sessions = 0
        self._superseded: Aborted | None = None

    def supersede(self, message: str) -> None:
        """Another instance has the worker's id: every beat is refused, also after one whose answer came too late."""
        self._superseded = Aborted(message, reason="INSTANCE_SUPERSEDED")

    def forget(self) -> None:
        """Lose the worker."""
        self.session = ""

    async def registered(self) -> registry_pb2.RegisterWorkerRequest:
        """The next registration."""
        async with asyncio.timeout(PATIENCE):
            return await self.registrations.get()

    async def beaten(self) -> registry_pb2.HeartbeatRequest:
        """The next beat."""
        async with asyncio.timeout(PATIENCE):
            return await self.beats.get()

    async def left(self) -> registry_pb2.DeregisterWorkerRequest:
        """The next farewell."""
        async with asyncio.timeout(PATIENCE):
            return await self.farewells.get()

    async def RegisterWorker(
        self, request: registry_pb2.RegisterWorkerRequest, context: Context
    ) -> registry_pb2.RegisterWorkerResponse:
        self._note("RegisterWorker", context)
        self._sessions += 1
        self.session = f"session-{self._sessions}"
        self.registrations.put_nowait(request)
        response = registry_pb2.RegisterWorkerResponse(
            session_token=self.session, router_addresses=self.router_addresses
        )
        response.policy.heartbeat_interval.FromTimedelta(timedelta(seconds=self.interval))
        return response

    async def Heartbeat(
        self, request: registry_pb2.HeartbeatRequest, context: Context
    ) -> registry_pb2.HeartbeatResponse:
        self.beats.put_nowait(request)
        self._note("Heartbeat", context)
        if self._superseded is not None:
            raise self._superseded
        if request.session_token != self.session:
            raise NotFound("worker", request.worker_id, reason="WORKER_NOT_REGISTERED")
        response = registry_pb2.HeartbeatResponse(
            availability=self.availability, concurrency=self.concurrency, router_addresses=self.router_addresses
        )
        response.heartbeat_interval.FromTimedelta(timedelta(seconds=self.interval))
        if self.drain_deadline is not None:
            response.drain_deadline.FromTimedelta(timedelta(seconds=self.drain_deadline))
        return response

    async def DeregisterWorker(
        self, request: registry_pb2.DeregisterWorkerRequest, context: Context
    ) -> registry_pb2.DeregisterWorkerResponse:
        self._note("DeregisterWorker", context)
        self.farewells.put_nowait(request)
        await self.gate.wait()
        return registry_pb2.DeregisterWorkerResponse()

    async def GetWorker(
        self, request: registry_pb2.GetWorkerRequest, context: Context
    ) -> registry_pb2.GetWorkerResponse:
        raise NotImplementedError

    async def ListWorkers(
        self, request: registry_pb2.ListWorkersRequest, context: Context
    ) -> registry_pb2.ListWorkersResponse:
        return registry_pb2.ListWorkersResponse(workers=self.listed)

    async def WatchWorkers(
        self, request: registry_pb2.WatchWorkersRequest, context: Context
    ) -> AsyncGenerator[registry_pb2.WatchWorkersResponse, None]:
        raise NotImplementedError
        yield registry_pb2.WatchWorkersResponse()

    async def UpdateWorker(
        self, request: registry_pb2.UpdateWorkerRequest, context: Context
    ) -> registry_pb2.UpdateWorkerResponse:
        raise NotImplementedError

    async def ReportLinks(
        self, request: registry_pb2.ReportLinksRequest, context: Context
    ) -> registry_pb2.ReportLinksResponse:
        raise NotImplementedError

    async def GetRouting(
        self, request: registry_pb2.GetRoutingRequest, context: Context
    ) -> registry_pb2.GetRoutingResponse:
        raise NotImplementedError

    async def UpdateRouting(
        self, request: registry_pb2.UpdateRoutingRequest, context: Context
    ) -> registry_pb2.UpdateRoutingResponse:
        raise NotImplementedError

    async def UpdateQueue(
        self, request: registry_pb2.UpdateQueueRequest, context: Context
    ) -> registry_pb2.UpdateQueueResponse:
        raise NotImplementedError

    async def GetRegistryStatus(
        self, request: registry_pb2.GetRegistryStatusRequest, context: Context
    ) -> registry_pb2.GetRegistryStatusResponse:
        self._note("GetRegistryStatus", context)
        return registry_pb2.GetRegistryStatusResponse(status=self.status)

    async def identify(self, _: access_pb2.GetIdentityRequest, context: Context) -> access_pb2.GetIdentityResponse:
        """What the keys' service does of all that it could."""
        self._note("GetIdentity", context)
        return self.identity

    @property
    def access(self) -> grpc.GenericRpcHandler:
        """The service of the keys."""
        kinds = (access_pb2.GetIdentityRequest.FromString, access_pb2.GetIdentityResponse.SerializeToString)
        handler = grpc.unary_unary_rpc_method_handler(self.identify, *kinds)
        return grpc.method_handlers_generic_handler("devteam.v1.AccessService", {"GetIdentity": handler})

    def _note(self, method: str, context: Context) -> None:
        self.keys[method] = _key(context)
        if self.refusals.get(method):
            raise self.refusals[method].popleft()


class Line:
    """One worker's stream. Its beats are acknowledged unless `mute`, and counted in `beats`."""

    def __init__(self, attach: worker_pb2.Attach, key: object) -> None:
        self.attach = attach
        self.key = key
        self.mute = False
        self.beats: asyncio.Queue[int] = asyncio.Queue()
        self._up: asyncio.Queue[worker_pb2.ConnectRequest | None] = asyncio.Queue()
        self._down: asyncio.Queue[worker_pb2.ConnectResponse | Exception | None] = asyncio.Queue()

    def attached(self, *, beat: float = 15.0, beat_timeout: float = 45.0, window_bytes: int = 1024 * 1024) -> None:
        """Let the worker in; times in seconds."""
        attached = worker_pb2.Attached(window_bytes=window_bytes, router_id="router-1")
        attached.beat_interval.FromTimedelta(timedelta(seconds=beat))
        attached.beat_timeout.FromTimedelta(timedelta(seconds=beat_timeout))
        self._say(attached=attached)

    def assign(
        self,
        task_id: str = "t1",
        attempt: int = 1,
        *,
        queue: str = "default",
        model: str = "sim",
        options: Mapping[str, Any] | None = None,
        prompt: str = "What is new?",
        tools: Sequence[str] = (),
    ) -> None:
        """Give it a run; `options` are the model's."""
        run = run_pb2.Run(task_id=task_id, attempt=attempt, prompt=prompt, model=model, tools=tools)
        run.generation.options.update(options or {})
        self._say(assign=worker_pb2.Assign(run=run, queue=queue))

    def cancel(self, task_id: str = "t1", attempt: int = 1, *, fenced: bool = False) -> None:
        """Stop a run."""
        reason = worker_pb2.CANCEL_REASON_FENCED if fenced else worker_pb2.CANCEL_REASON_REQUESTED
        self._say(cancel=worker_pb2.Cancel(task_id=task_id, attempt=attempt, reason=reason))

    def resume(self, task_id: str = "t1", attempt: int = 1, *, after_seq: int) -> None:
        """Go on with a run."""
        self._say(resume=worker_pb2.Resume(task_id=task_id, attempt=attempt, after_seq=after_seq))

    def ack_tokens(self, task_id: str = "t1", attempt: int = 1, *, seq: int) -> None:
        """Tokens are stored."""
        self._say(tokens_ack=worker_pb2.TokensAck(task_id=task_id, attempt=attempt, seq=seq))

    def ack_report(self, task_id: str = "t1", attempt: int = 1) -> None:
        """A report is stored."""
        self._say(report_ack=worker_pb2.ReportAck(task_id=task_id, attempt=attempt))

    def drain(self, reason: worker_pb2.Drain.Reason.ValueType, deadline: float | None = None) -> None:
        """Assign no more; `deadline` in seconds."""
        drain = worker_pb2.Drain(reason=reason)
        if deadline is not None:
            drain.deadline.FromTimedelta(timedelta(seconds=deadline))
        self._say(drain=drain)

    def cut(self, error: Exception | None = None) -> None:
        """End the stream."""
        self._down.put_nowait(error)

    async def hears(self) -> worker_pb2.ConnectRequest:
        """What the worker says next, beats left out. Raises EOFError once its stream has ended."""
        async with asyncio.timeout(PATIENCE):
            request = await self._up.get()
        if request is None:
            raise EOFError
        return request

    async def beaten(self) -> int:
        """The number of its next beat."""
        async with asyncio.timeout(PATIENCE):
            return await self.beats.get()

    async def serve(
        self, requests: AsyncIterator[worker_pb2.ConnectRequest]
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        """Carry words in both directions until the test cuts the line."""
        listening = asyncio.create_task(self._listen(requests))
        try:
            while isinstance(item := await self._down.get(), worker_pb2.ConnectResponse):
                yield item
            if item is not None:
                raise item
        finally:
            await cancelled(listening)

    async def _listen(self, requests: AsyncIterator[worker_pb2.ConnectRequest]) -> None:
        try:
            async for request in requests:
                if request.WhichOneof("item") != "beat":
                    self._up.put_nowait(request)
                    continue
                self.beats.put_nowait(request.beat.number)
                if not self.mute:
                    self._say(beat_ack=worker_pb2.BeatAck(number=request.beat.number))
        finally:
            self._up.put_nowait(None)

    def _say(self, **item: Any) -> None:
        self._down.put_nowait(worker_pb2.ConnectResponse(**item))


class ScriptedRouter(worker_pb2_grpc.WorkerServiceServicer):
    """Hands every stream to the test once it has attached.

    While `refusing` holds an error, attaches are answered with it, and put into `refused`.
    """

    def __init__(self) -> None:
        self.refusing: Exception | None = None
        self.refused: asyncio.Queue[worker_pb2.Attach] = asyncio.Queue()
        self._lines: asyncio.Queue[Line] = asyncio.Queue()

    async def line(self) -> Line:
        """The next stream, not yet let in."""
        async with asyncio.timeout(PATIENCE):
            return await self._lines.get()

    async def attached(self, **policy: Any) -> Line:
        """The next stream, let in."""
        line = await self.line()
        line.attached(**policy)
        return line

    async def Connect(
        self, request_iterator: AsyncIterator[worker_pb2.ConnectRequest], context: Context
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        requests = aiter(request_iterator)
        attach = (await anext(requests)).attach
        if self.refusing is not None:
            self.refused.put_nowait(attach)
            raise self.refusing
        line = Line(attach, _key(context))
        self._lines.put_nowait(line)
        async for response in line.serve(requests):
            yield response


class ScriptedMesh:
    """Both behind the mesh's own interceptors, on one port that stays the same."""

    def __init__(self, tls: TlsFiles | None = None) -> None:
        self._tls = tls
        self.registry = ScriptedRegistry()
        self.router = ScriptedRouter()
        self.port = 0
        self._server: MeshServer | None = None

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begin to answer, or answer again."""
        self._server = MeshServer(Listen(port=self.port or free_port(), stop_grace=0.1, tls=self._tls), CountingIds())
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self.registry, self._server.server)
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(self.router, self._server.server)
        self._server.server.add_generic_rpc_handlers([self.registry.access])
        self._server.serve(["devteam.v1.RegistryService", "devteam.v1.WorkerService"])
        self.port = await self._server.start()

    async def stop(self) -> None:
        """Be gone."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()


@asynccontextmanager
async def scripted_mesh(tls: TlsFiles | None = None) -> AsyncIterator[ScriptedMesh]:
    """A mesh that is served."""
    mesh = ScriptedMesh(tls)
    await mesh.start()
    try:
        yield mesh
    finally:
        await mesh.stop()


def _key(context: Context) -> object:
    return dict(context.invocation_metadata() or ()).get("authorization")
