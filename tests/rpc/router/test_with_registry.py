"""What Registry and Router tell each other of workers: both are real, each on a server of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router.app import mounted
from devteam_router.settings import Settings
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import router_pb2, worker_pb2
from devteam.v1.router_pb2_grpc import RouterServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.worker_line import WorkerLine
from tests.rpc.registry import mesh as registries
from tests.rpc.router.mesh import DispatchCall, a_run, heard_of

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.registry_pb2_grpc import RegistryServiceAsyncStub

PATIENCE = 60.0


class Watch:
    """What the Registry tells its watchers."""

    def __init__(self, stub: "RegistryServiceAsyncStub") -> None:
        self._stub = stub
        self._call = stub.WatchWorkers(pb.WatchWorkersRequest(), wait_for_ready=True)

    async def sees(self, state: pb.WorkerState.ValueType) -> pb.Worker:
        """Wait until watchers are told of that state; then the worker as anybody may see it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                response = await self._call.read()
                assert isinstance(response, pb.WatchWorkersResponse)
                records = [response.changed, *response.snapshot.workers]
                if state in {record.worker.state for record in records}:
                    return (await self._stub.GetWorker(pb.GetWorkerRequest(worker_id="w1"))).worker


@asynccontextmanager
async def router_of(registry: registries.Mesh) -> AsyncIterator[grpc.aio.Channel]:
    """A Router that knows this Registry."""
    settings = Settings(registry_address=f"http://127.0.0.1:{registry.server.port}", link_grace_s=600)
    clock, ids = SystemClock(), CountingIds()
    server = MeshServer(Listen(port=0, stop_grace=0.1), ids)
    async with mounted(server, settings, clock, ids) as job:
        port = await server.start()
        async with background(job), open_channel(f"http://127.0.0.1:{port}") as channel:
            await asyncio.wait_for(heard_of(RouterServiceStub(channel), "default"), PATIENCE)
            try:
                yield channel
            finally:
                await server.stop()


async def test_a_worker_whose_line_breaks_is_suspect_at_once_and_healthy_when_it_is_back(clock: FakeClock) -> None:
    """The reason counts what it runs, and watchers are told."""
    async with registries.running(RegistrySettings(database_url="memory"), clock) as registry:
        token = (await registry.register()).session_token
        watch = Watch(registry.stub)
        async with router_of(registry) as channel:
            line = WorkerLine(channel)
            await line.attach(session_token=token)
            dispatch = DispatchCall(RouterServiceStub(channel).Dispatch(router_pb2.DispatchRequest(run=a_run())))
            assert (await line.hear()).WhichOneof("item") == "assign"
            await line.accept("t1")

            line.hang_up()
            worker = await watch.sees(pb.WORKER_STATE_SUSPECT)
            assert worker.state == pb.WORKER_STATE_SUSPECT
            assert worker.state_reason.startswith("its stream to router-1 broke 0 s ago; 1 task is given up in ")
            assert worker.next_state == pb.WORKER_STATE_UNHEALTHY
            assert worker.router_id == ""

            back = WorkerLine(channel)
            running = worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default")
            await back.attach(session_token=token, running=[running])
            worker = await watch.sees(pb.WORKER_STATE_HEALTHY)
            assert (worker.state, worker.router_id) == (pb.WORKER_STATE_HEALTHY, "router-1")
            dispatch.hang_up()


async def test_a_registry_that_restarts_hears_again_who_has_no_stream(clock: FakeClock, sqlite_url: str) -> None:
    """It knows nothing of streams until the Router says everything; then it does."""
    async with registries.running(RegistrySettings(database_url=sqlite_url), clock) as registry:
        port = registry.server.port
        token = (await registry.register()).session_token
        async with router_of(registry) as channel:
            line = WorkerLine(channel)
            await line.attach(session_token=token)
            watch = Watch(registry.stub)
            line.hang_up()
            await watch.sees(pb.WORKER_STATE_SUSPECT)
            await registry.server.stop()
            settings = RegistrySettings(database_url=sqlite_url)
            async with registries.running(settings, clock, port=port) as restarted:
                worker = await Watch(restarted.stub).sees(pb.WORKER_STATE_SUSPECT)
                assert worker.state_reason.startswith("its stream to router-1 broke 0 s ago")


async def test_the_rest_of_a_drain_reaches_a_worker_over_its_stream(clock: FakeClock) -> None:
    """At once, and again when it has come back."""
    async with registries.running(RegistrySettings(database_url="memory"), clock) as registry:
        token = (await registry.register()).session_token
        async with router_of(registry) as channel:
            line = WorkerLine(channel)
            await line.attach(session_token=token)
            drain = pb.UpdateWorkerRequest(
                worker_id="w1",
                update_mask=registries.mask("availability", "drain_deadline"),
                availability=pb.AVAILABILITY_DRAINING,
                drain_deadline=Duration(seconds=3600),
            )
            await registry.stub.UpdateWorker(drain)
            told = [(await line.hear()).drain]
            line.hang_up()
            back = WorkerLine(channel)
            await back.attach(session_token=token)
            told.append((await back.hear()).drain)
    assert [drain.reason for drain in told] == [worker_pb2.Drain.REASON_WORKER] * 2
    first, second = (drain.deadline.ToTimedelta().total_seconds() for drain in told)
    assert 3600 >= first > second > 3000
