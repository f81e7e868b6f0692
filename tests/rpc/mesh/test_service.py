"""A service as a process of its own: SIGTERM in the middle of its work."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from devteam.mesh.access.key import mint
from devteam.v1 import registry_pb2, registry_pb2_grpc, trace_pb2, trace_pb2_grpc
from tests.fakes.stored_spans import all_stored_spans

# A process takes a second or two to come up, and the machine may be busy.
PATIENCE = 60.0

# Its drain opens the gate, unless it is told to drain for ever; or it is told to stop as soon as it says that it runs.
PROGRAM = """
import asyncio, logging, os, signal, sys
from contextlib import asynccontextmanager
from devteam.mesh.service import run_service
from devteam.mesh.settings import ServiceSettings
from devteam.v1 import registry_pb2_grpc
from tests.fakes.misbehaving import Gated

class Supervisor(logging.Handler):
    def emit(self, record):
        if record.msg["event"] == "server started":
            os.kill(os.getpid(), signal.SIGTERM)

@asynccontextmanager
async def mounted(server, settings, clock, ids):
    if sys.argv[1] == "at once":
        logging.getLogger().addHandler(Supervisor())
    servicer = Gated()
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.server)

    async def drain():
        print("draining", flush=True)
        if sys.argv[1] == "for ever":
            await asyncio.Event().wait()
        servicer.gate.set()

    async def job():
        print(server.port, flush=True)
        try:
            await servicer.entered.wait()
            print("entered", flush=True)
            await asyncio.Event().wait()
        finally:
            print("job ended", flush=True)

    server.serve(["devteam.v1.RegistryService"], drain)
    yield job
    print("closed", flush=True)

run_service("test", ServiceSettings, mounted)
"""


@asynccontextmanager
async def serving(drain: str, **environment: str) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, drain, stdout=PIPE, stderr=PIPE, env=kept | environment
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            port = int(await process.stdout.readline())
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield process, channel
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_a_call_in_flight_is_answered_and_only_then_the_rest_is_closed() -> None:
    async with serving("soon") as (process, channel):
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        answer = asyncio.ensure_future(stub.GetWorker(registry_pb2.GetWorkerRequest(worker_id="gate")))
        assert await said(process) == "entered"
        process.send_signal(signal.SIGTERM)
        assert (await answer).worker.worker_id == "gate"
        assert [await said(process) for _ in range(3)] == ["draining", "job ended", "closed"]
        assert await process.wait() == 0


async def test_a_signal_is_heard_from_the_line_on_that_says_that_it_runs() -> None:
    """Whoever starts services in order waits for that line, and may change its mind then."""
    async with serving("at once") as (process, _):
        assert [await said(process) for _ in range(3)] == ["draining", "job ended", "closed"]
        assert await process.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_drain_at_once(second: signal.Signals) -> None:
    async with serving("for ever") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert await said(process) == "draining"
        process.send_signal(second)
        assert await process.wait() == -second


async def test_a_service_with_a_trace_file_keeps_its_spans_and_shows_them(tmp_path: Path) -> None:
    """Those that it had in hand when it was stopped, too."""
    file = tmp_path / "traces.db"
    async with serving("soon", TRACE_FILE=str(file)) as (process, channel):
        traces = trace_pb2_grpc.TraceServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await traces.GetTrace(trace_pb2.GetTraceRequest(trace_id="a" * 32))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        answer = asyncio.ensure_future(stub.GetWorker(registry_pb2.GetWorkerRequest(worker_id="gate")))
        assert await said(process) == "entered"
        process.send_signal(signal.SIGTERM)
        await answer
        assert await process.wait() == 0
    assert [span.name for span in all_stored_spans(file)] == ["devteam.v1.RegistryService/GetWorker"]


async def test_a_service_without_one_keeps_nothing() -> None:
    async with serving("soon") as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await trace_pb2_grpc.TraceServiceStub(channel).GetTrace(trace_pb2.GetTraceRequest(trace_id="a" * 32))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_service_with_keys_asks_for_them() -> None:
    """Its mesh key is valid from the start."""
    key = mint("m").secret
    async with serving("soon", KEYS="true", MESH_KEY=key) as (_, channel):
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetWorker(registry_pb2.GetWorkerRequest(worker_id="w1"))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), metadata=(("x-api-key", key), ("then", "end")))
        assert [answer.removed.worker_id async for answer in watch] == ["first"]


async def test_a_service_with_keys_and_no_mesh_key_does_not_start() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "soon", stdout=PIPE, stderr=PIPE, env=os.environ | {"KEYS": "true"}
    )
    async with asyncio.timeout(PATIENCE):
        _, complaint = await process.communicate()
    assert process.returncode == 78
    assert "KEYS: needs the mesh key: set MESH_KEY_FILE" in complaint.decode()
