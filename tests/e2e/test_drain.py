"""A service that is told to stop: its callers hear why, what is in flight ends, and the process ends soon and well."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from devteam_cli.ports import free_port
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.mesh.errors import Unavailable
from devteam.mesh.status import from_rpc
from devteam.v1 import planner_pb2, planner_pb2_grpc, registry_pb2, registry_pb2_grpc, worker_pb2, worker_pb2_grpc
from tests.e2e.services import Service, service

pytestmark = pytest.mark.e2e

# A stop takes two seconds where nobody reads, and a machine may be busy.
SOON = 40.0


async def read_out(stream: Any) -> list[Any]:
    """All that the stream still holds."""
    messages = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


async def drained(stream: Any) -> None:
    """Read the stream to its end, which says that the server goes down and when to come back."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_out(stream)
    error = from_rpc(caught.value)
    assert isinstance(error, Unavailable)
    assert (error.reason, error.retry_after > 0) == ("DRAINING", True)


async def stopped(running: Service) -> int:
    """Ask it to stop; its exit code, soon."""
    asked = time.monotonic()
    code = await asyncio.to_thread(running.program.stop)
    assert time.monotonic() - asked < SOON
    return code


def small_worker(worker_id: str) -> registry_pb2.RegisterWorkerRequest:
    request = registry_pb2.RegisterWorkerRequest(instance_id="i1")
    request.spec.worker_id = worker_id
    request.spec.concurrency = 1
    request.spec.queues.add(name="default", concurrency=1)
    return request


async def test_a_registry_ends_its_watches_and_then_itself(tmp_path: Path) -> None:
    async with service("registry", tmp_path, database_url=f"sqlite:///{tmp_path}/registry.db") as running:
        stub = registry_pb2_grpc.RegistryServiceStub(running.channel)
        watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
        await watch.read()
        request = health_pb2.HealthCheckRequest(service="devteam.v1.RegistryService")
        health = health_pb2_grpc.HealthStub(running.channel).Watch(request)
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        await stub.RegisterWorker(small_worker("w1"))
        await watch.read()
        code, _, news = await asyncio.gather(stopped(running), drained(watch), health.read())
        assert code == 0
        assert news.status == health_pb2.HealthCheckResponse.NOT_SERVING
    async with service("registry", tmp_path, database_url=f"sqlite:///{tmp_path}/registry.db") as again:
        stub = registry_pb2_grpc.RegistryServiceStub(again.channel)
        (worker,) = (await stub.ListWorkers(registry_pb2.ListWorkersRequest())).workers
        assert worker.worker_id == "w1"
        assert await stopped(again) == 0


async def test_a_router_tells_its_workers_before_their_streams_end(tmp_path: Path) -> None:
    async with (
        service("registry", tmp_path) as registry,
        service("router", tmp_path, registry_address=registry.url) as router,
    ):
        registered = await registry_pb2_grpc.RegistryServiceStub(registry.channel).RegisterWorker(small_worker("w1"))
        end = asyncio.Event()

        async def words() -> AsyncIterator[worker_pb2.ConnectRequest]:
            attach = worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=registered.session_token)
            yield worker_pb2.ConnectRequest(attach=attach)
            await end.wait()

        stream: Any = worker_pb2_grpc.WorkerServiceStub(router.channel).Connect(words())
        assert (await stream.read()).WhichOneof("item") == "attached"
        stopping = asyncio.create_task(stopped(router))
        assert (await stream.read()).drain.reason == worker_pb2.Drain.REASON_ROUTER
        await drained(stream)
        assert await stopping == 0
        end.set()
        assert await stopped(registry) == 0


async def test_a_planner_ends_its_watches(tmp_path: Path) -> None:
    """Also while Temporal is away."""
    async with service("planner", tmp_path, temporal_address=f"127.0.0.1:{free_port()}") as running:
        stub = planner_pb2_grpc.PlannerServiceStub(running.channel)
        spec = planner_pb2.TaskSpec(prompt="Wait", model="sim")
        task = (await stub.CreateTask(planner_pb2.CreateTaskRequest(task=spec))).task
        assert task.wait_reason == "accepted; waits for Temporal to start it"
        watch = stub.WatchTask(planner_pb2.WatchTaskRequest(task_id=task.task_id))
        await watch.read()
        code, _ = await asyncio.gather(stopped(running), drained(watch))
        assert code == 0


async def test_a_watcher_that_does_not_read_delays_nothing(tmp_path: Path) -> None:
    async with service("registry", tmp_path) as running:
        stub = registry_pb2_grpc.RegistryServiceStub(running.channel)
        watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
        await watch.read()
        request = small_worker("w1")
        for key in range(60):
            request.spec.labels[f"label-{key}"] = "x" * 120
        # Until the buffers between the two are full: nobody reads the watch.
        for _ in range(300):
            await stub.RegisterWorker(request)
        assert await stopped(running) == 0
