"""What a client's calls leave in its trace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from devteam.mesh import channel as client_side
from devteam.mesh.channel import open_channel
from devteam.mesh.interceptors import trace as server_side
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import Gated
from tests.fakes.spans import Spans, attributes, hangs_on

METHOD = "devteam.v1.RegistryService/GetWorker"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch, client_side, server_side)


@pytest.fixture
def servicer() -> Gated:
    return Gated()


@pytest.fixture
async def stub(servicer: Gated) -> AsyncIterator[Any]:
    server = MeshServer(Listen(port=0), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.server)
    port = await server.start()
    async with asyncio.timeout(60), open_channel(f"http://127.0.0.1:{port}") as channel:
        yield registry_pb2_grpc.RegistryServiceStub(channel)
    await server.stop()


def worker(worker_id: str) -> registry_pb2.GetWorkerRequest:
    return registry_pb2.GetWorkerRequest(worker_id=worker_id)


async def test_a_call_is_a_span_within_the_callers_own_and_the_servers_hangs_on_it(stub: Any, spans: Spans) -> None:
    with spans.tracer.start_as_current_span("the caller"):
        await stub.GetWorker(worker("w1"))
    served, called, caller = spans.all
    assert (served.name, called.name, caller.name) == (METHOD, METHOD, "the caller")
    assert (served.kind, called.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert hangs_on(served, called)
    assert hangs_on(called, caller)
    assert attributes(called) == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD,
        "rpc.response.status_code": "OK",
    }


async def test_a_refusal_is_an_error_of_the_call(stub: Any, spans: Spans) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.GetWorker(worker("refuse"))
    _, called = spans.all
    told = attributes(called)
    assert (told["rpc.response.status_code"], told["error.type"]) == ("NOT_FOUND", "NOT_FOUND")
    assert called.status.status_code is StatusCode.ERROR


async def test_a_caller_that_gives_up_gives_up_the_call(stub: Any, spans: Spans, servicer: Gated) -> None:
    calling = asyncio.ensure_future(stub.GetWorker(worker("gate")))
    await servicer.entered.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await servicer.left.wait()  # although the gate is shut
    assert [attributes(span)["rpc.response.status_code"] for span in spans.all] == ["CANCELLED"] * 2


async def test_calls_that_repeat_for_ever_are_no_spans_but_stay_in_the_trace(stub: Any, spans: Spans) -> None:
    await stub.Heartbeat(registry_pb2.HeartbeatRequest())
    watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
    await watch.read()
    watch.cancel()
    assert spans.all == []


async def test_without_a_provider_a_call_costs_no_span(stub: Any) -> None:
    assert (await stub.GetWorker(worker("w1"))).worker.worker_id == "w1"
