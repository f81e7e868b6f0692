"""A mesh in the test's own process and event loop."""

import asyncio
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from devteam.client import DevTeamClient
from devteam.mesh import options
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.clock import SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.interceptors.auth import auth_layer
from devteam.mesh.interceptors.call import CallInterceptor
from devteam.mesh.interceptors.errors import error_layer
from devteam.mesh.tasks import cancelled
from devteam.models import QueueInfo, Throttle, WorkerInfo
from devteam.standing import ServiceStatus
from devteam.testing.access import FakeAccess, FakeAuthorizer
from devteam.testing.fleet import FakeRegistry
from devteam.testing.planner import FakePlanner
from devteam.testing.router import FakeRouter
from devteam.testing.runs import Answer, echo
from devteam.testing.standings import Standings
from devteam.testing.traces import FakeTraces
from devteam.traces import Span
from devteam.v1 import access_pb2_grpc, planner_pb2_grpc, registry_pb2_grpc, router_pb2_grpc, trace_pb2_grpc

_WORKER = WorkerInfo(id="fake-1", queues=("default",))
_QUEUE = QueueInfo(name="default", slots=1, workers=1)


class FakeMesh:
    """Planner, registry and router on one port of this machine; use it as an async context manager.

    `answer` says what comes of a prompt (see `Answer`; the prompt itself unless given). The first of `workers` is said
    to run everything; workers, queues and throttles are there to be listed and change nothing, and so is what operators
    want of them. `notice` is what a list of workers says of the whole fleet. Tasks and plans have the trace of who
    creates them; its spans are those that `keep_spans` was given, and without `keeps_traces` there is nobody to ask.
    With `keys` it asks everyone for a key: make the first with `client(api_key=mesh.mesh_key)`.
    `services` are how those that it names are said to stand; one with a `problem` refuses to say. The others are well.
    """

    def __init__(
        self,
        answer: Answer = echo,
        *,
        workers: Sequence[WorkerInfo] = (_WORKER,),
        queues: Sequence[QueueInfo] = (_QUEUE,),
        throttles: Sequence[Throttle] = (),
        notice: str = "",
        keeps_traces: bool = True,
        keys: bool = False,
        services: Sequence[ServiceStatus] = (),
        port: int = 0,
    ) -> None:
        self.port = port
        self.mesh_key = mint("m").secret if keys else ""
        self._keyring = Keyring(SystemClock(), self.mesh_key) if keys else None
        self._access = FakeAccess(self._keyring)
        self._traces = FakeTraces()
        self._keeps_traces = keeps_traces
        self._ids = TimeOrderedIds(SystemClock())
        self._runs: list[asyncio.Task[None]] = []
        worker_id = next((worker.id for worker in workers), _WORKER.id)
        standings = Standings(services, SystemClock())
        self._planner = FakePlanner(answer, worker_id, self._ids, self._spawn, standings)
        self._registry = FakeRegistry(workers, notice, standings)
        self._router = FakeRouter(queues, throttles, self._registry, self._planner.task, standings)
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        """What to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **settings: Any) -> DevTeamClient:
        """A client of this mesh; `settings` as for DevTeamClient."""
        return DevTeamClient(self.url, **settings)

    async def start(self) -> None:
        """Answer calls; after a `stop`, on the same port, with everything still known."""
        layers = [error_layer(self._ids), auth_layer(FakeAuthorizer(self._keyring))]
        self._server = grpc.aio.server(interceptors=[CallInterceptor(layers)], options=options.SERVER)
        access_pb2_grpc.add_AccessServiceServicer_to_server(self._access, self._server)
        planner_pb2_grpc.add_PlannerServiceServicer_to_server(self._planner, self._server)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self._registry, self._server)
        router_pb2_grpc.add_RouterServiceServicer_to_server(self._router, self._server)
        if self._keeps_traces:
            trace_pb2_grpc.add_TraceServiceServicer_to_server(self._traces, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Break every connection and answer no more; what runs, runs on. So a test can see what an outage does."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    def put_worker(self, worker: WorkerInfo) -> None:
        """Let a worker be as a test says: a new one joins, one that is known changes."""
        self._registry.put(worker)

    def remove_worker(self, worker_id: str) -> None:
        """Let a worker leave, as a real one does at the end of a drain. Raises NotFound."""
        self._registry.remove(worker_id)

    def keep_spans(self, *spans: Span) -> None:
        """Let these spans be found by their trace."""
        self._traces.keep(spans)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        for run in self._runs:
            await cancelled(run)

    def _spawn(self, run: Coroutine[Any, Any, None]) -> None:
        self._runs.append(asyncio.create_task(run))
