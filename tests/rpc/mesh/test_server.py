"""What every server of the mesh does around every call, seen from the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import StatusCode

from devteam.mesh import errors, status
from devteam.mesh.access.caller import Caller
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors import trace as trace_layer
from devteam.mesh.interceptors.call import Call
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2, registry_pb2_grpc, worker_pb2, worker_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import CANARY, Echoing, Misbehaving
from tests.fakes.spans import Spans, attributes

NAME = "devteam.v1.RegistryService"
REFUSE = (("then", "refuse"),)
Stub = registry_pb2_grpc.RegistryServiceStub


@pytest.fixture
async def server(ids: CountingIds) -> AsyncIterator[MeshServer]:
    mesh = MeshServer(Listen(port=0), ids)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Misbehaving(), mesh.server)
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(Echoing(), mesh.server)
    mesh.serve([NAME, "devteam.v1.WorkerService"])
    await mesh.start()
    yield mesh
    await mesh.stop()


@pytest.fixture
async def channel(server: MeshServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


async def refusal_of(call: Any) -> tuple[grpc.StatusCode, errors.DevTeamError]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(60):
            await call
    return caught.value.code(), status.from_rpc(caught.value)


async def drained(call: Any) -> list[Any]:
    return [message async for message in call]


async def test_a_domain_error_keeps_its_reason_on_a_unary_call(channel: grpc.aio.Channel) -> None:
    code, error = await refusal_of(Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="refuse")))
    assert (code, error.reason, error.metadata["name"]) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", "w1")


async def test_a_domain_error_keeps_its_reason_in_the_middle_of_a_stream(channel: grpc.aio.Channel) -> None:
    call = Stub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest(), metadata=(("then", "refuse"),))
    code, error = await refusal_of(drained(call))
    assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_defect_is_answered_with_an_id_and_its_text_stays_in_the_log(
    channel: grpc.aio.Channel, streaming: bool
) -> None:
    with structlog.testing.capture_logs() as logs:
        watch = Stub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest(), metadata=(("then", "break"),))
        get = Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="break"))
        code, error = await refusal_of(drained(watch) if streaming else get)
    assert (code, CANARY in error.message) == (grpc.StatusCode.INTERNAL, False)
    assert error.metadata["error_id"] in [entry["error_id"] for entry in logs if entry["event"] == "call failed"]


async def test_a_cancellation_of_the_handlers_own_making_is_answered_too(channel: grpc.aio.Channel) -> None:
    code, error = await refusal_of(Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="cancel")))
    assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "INTERRUPTED")


async def test_a_unary_call_ends_after_its_time_without_a_deadline_of_the_callers(ids: CountingIds) -> None:
    mesh = MeshServer(Listen(port=0, call_timeout=0.3), ids)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Misbehaving(), mesh.server)
    await mesh.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.port}") as channel:
        code, error = await refusal_of(Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="wait")))
    await mesh.stop()
    assert (code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("garbage", [b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\xff"])
async def test_bytes_that_are_no_message_are_refused_as_such(channel: grpc.aio.Channel, garbage: bytes) -> None:
    unary: Any = channel.unary_unary(f"/{NAME}/GetWorker", request_serializer=lambda data: data)
    code, error = await refusal_of(unary(garbage))
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


async def test_bytes_that_are_no_message_end_a_stream_with_the_same_refusal(channel: grpc.aio.Channel) -> None:
    connect: Any = channel.stream_stream("/devteam.v1.WorkerService/Connect", request_serializer=lambda data: data)
    call = connect(iter([worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1)).SerializeToString(), b"\x0a\x05ab"]))
    code, error = await refusal_of(drained(call))
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


async def test_stopping_ends_open_streams_at_once_and_says_why(server: MeshServer, channel: grpc.aio.Channel) -> None:
    call = Stub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest())
    await call.read()
    async with asyncio.timeout(60):
        refusal, _ = await asyncio.gather(refusal_of(drained_by_read(call)), server.stop())
    assert (refusal[0], refusal[1].reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def drained_by_read(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_taken_port_is_refused_with_what_to_do(server: MeshServer, ids: Ids) -> None:
    with pytest.raises(errors.FailedPrecondition) as caught:
        await MeshServer(Listen(port=server.port), ids).start()
    assert caught.value.reason == "PORT_TAKEN"


async def test_a_call_is_one_span_joined_to_the_callers_trace(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = Spans(monkeypatch, trace_layer)
    parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await refusal_of(Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="refuse"), metadata=(parent,)))
    span = spans.one(f"{NAME}/GetWorker")
    assert attributes(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{NAME}/GetWorker",
        "rpc.response.status_code": "NOT_FOUND",
        "error.type": "RESOURCE_NOT_FOUND",
    }
    # The caller's mistake is no failure of the server.
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(("how", "code", "error"), [("break", "INTERNAL", "ValueError"), ("w1", "OK", None)])
async def test_a_span_tells_how_its_call_ended(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch, how: str, code: str, error: str | None
) -> None:
    spans = Spans(monkeypatch, trace_layer)
    call = Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id=how))
    await (refusal_of(call) if error else call)
    span = spans.one(f"{NAME}/GetWorker")
    told = attributes(span)
    assert (told["rpc.response.status_code"], told.get("error.type")) == (code, error)
    assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
    assert span.events == ()


async def test_watches_and_health_are_no_spans(channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans(monkeypatch, trace_layer)
    await refusal_of(drained(Stub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest(), metadata=REFUSE)))
    await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert spans.all == []


class Nobody:
    """Lets nobody in."""

    async def authorize(self, call: Call) -> Caller:
        raise errors.PermissionDenied("not you")


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_refusal_before_the_handler_keeps_its_reason(ids: CountingIds, streaming: bool) -> None:
    mesh = MeshServer(Listen(port=0), ids, Nobody())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Misbehaving(), mesh.server)
    await mesh.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.port}") as channel:
        watch = Stub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest())
        get = Stub(channel).GetWorker(registry_pb2.GetWorkerRequest(worker_id="w1"))
        code, error = await refusal_of(drained(watch) if streaming else get)
    assert (code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await mesh.stop()
