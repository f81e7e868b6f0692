"""A mesh takes spans, and shows them by their trace, seen from the wire."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse as Response
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from devteam import SpanKind
from devteam.client import DevTeamClient
from devteam.mesh import errors, names, status
from devteam.mesh.access.buckets import Allowance
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors import trace as trace_layer
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.spans import turns
from devteam.mesh.spans.collector import collecting
from devteam.mesh.spans.store import SpanStore
from devteam.mesh.spans.turns import Turns
from devteam.v1 import trace_pb2, trace_pb2_grpc
from tests.fakes.callers import CALLERS, SERVICE, Believing, called
from tests.fakes.clock import FakeClock
from tests.fakes.sdk_spans import ended_spans, trace_id_of
from tests.fakes.stored_spans import TRACE, all_stored_spans, attribute, otlp_request, otlp_span, record, stored_spans


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.fixture
async def server(ids: Ids, file: Path) -> AsyncIterator[MeshServer]:
    mesh = MeshServer(Listen(port=0), ids)
    with collecting(mesh, file):
        await mesh.start()
        yield mesh
        await mesh.stop()


@pytest.fixture
async def channel(server: MeshServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


def exporting(channel: grpc.aio.Channel) -> Any:
    return channel.unary_unary(
        names.EXPORT_SPANS, request_serializer=Request.SerializeToString, response_deserializer=Response.FromString
    )


async def trace_of(channel: grpc.aio.Channel, trace_id: str = TRACE) -> trace_pb2.GetTraceResponse:
    stub = trace_pb2_grpc.TraceServiceStub(channel)
    return await stub.GetTrace(trace_pb2.GetTraceRequest(trace_id=trace_id))


async def refusal_of(call: Any) -> errors.DevTeamError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(60):
            await call
    return status.from_rpc(caught.value)


async def test_what_an_exporter_sends_a_client_finds(server: MeshServer) -> None:
    """Any program with OpenTelemetry can send its spans here, by its usual settings."""
    spans = ended_spans("submit", "think")
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.port}")
    try:
        assert await asyncio.to_thread(exporter.export, spans) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()
    async with DevTeamClient(f"http://127.0.0.1:{server.port}", api_key="") as client:
        trace = await client.get_trace(trace_id_of(spans))
    submit, think = trace.spans
    assert (submit.name, think.name, trace.truncated) == ("submit", "think", False)
    assert (submit.parent_id, think.parent_id) == ("", submit.id)
    assert (submit.service, submit.kind) == ("a client", SpanKind.INTERNAL)
    assert submit.start <= think.start <= think.end <= submit.end


async def test_what_is_wrong_is_told_and_the_rest_is_kept(channel: grpc.aio.Channel) -> None:
    answer = await exporting(channel)(otlp_request(otlp_span(1), otlp_span(2, trace_id=b"short"), otlp_span(3)))
    assert answer.partial_success.rejected_spans == 1
    assert answer.partial_success.error_message == "1 x trace_id must have 16 bytes that are not all zero"
    assert [span.name for span in (await trace_of(channel)).spans] == ["span 1", "span 3"]


async def test_an_empty_request_is_fine(channel: grpc.aio.Channel, file: Path) -> None:
    assert not (await exporting(channel)(Request())).HasField("partial_success")
    assert all_stored_spans(file) == []


@pytest.mark.parametrize("garbage", [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab"])
async def test_bytes_that_are_no_message_are_refused(channel: grpc.aio.Channel, garbage: bytes) -> None:
    call: Any = channel.unary_unary(names.EXPORT_SPANS, request_serializer=lambda data: data)
    assert (await refusal_of(call(garbage))).reason == "MALFORMED_MESSAGE"


async def test_a_request_beyond_4_mib_is_refused(channel: grpc.aio.Channel) -> None:
    huge = otlp_span(attributes=[attribute("a", string_value="x" * 5_000_000)])
    assert isinstance(await refusal_of(exporting(channel)(otlp_request(huge))), errors.ResourceExhausted)


def put_in_the_way(file: Path) -> None:
    file.mkdir()


async def test_a_store_that_cannot_be_written_to_is_unavailable(channel: grpc.aio.Channel, file: Path) -> None:
    put_in_the_way(file)
    refusal = await refusal_of(exporting(channel)(otlp_request(otlp_span())))
    assert isinstance(refusal, errors.Unavailable)
    assert (refusal.reason, refusal.retry_after) == ("STORAGE_UNAVAILABLE", 60.0)


async def test_many_who_send_at_once_take_turns_and_too_many_are_sent_away(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stands still must not take the threads and the memory of the whole process."""
    monkeypatch.setattr(turns, "MOST_WAITING", 3)
    export = exporting(channel)
    told = await asyncio.gather(
        *(export(otlp_request(*map(otlp_span, range(number * 500 + 1, number * 500 + 500)))) for number in range(30)),
        return_exceptions=True,
    )
    refused = [status.from_rpc(error) for error in told if isinstance(error, grpc.aio.AioRpcError)]
    assert 3 <= 30 - len(refused) < 30
    assert {type(refusal) for refusal in refused} == {errors.ResourceExhausted}


async def test_a_caller_may_send_so_many_spans_a_second_and_so_many_kib(ids: Ids, clock: FakeClock, file: Path) -> None:
    """Whoever it is by its key; others, and the services of the mesh, are not held up by it."""
    mesh = MeshServer(Listen(port=0), ids, Believing(CALLERS))
    with collecting(mesh, file, Turns(clock, Allowance(100, 1_000))):
        port = await mesh.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
            export, many = exporting(opened), otlp_request(*map(otlp_span, range(1, 1_101)))
            large = otlp_request(otlp_span(attributes=[attribute("a", string_value="x" * 1_100 * 1_024)]))
            for who, request in (("acme", many), ("worker", large)):
                await export(request, metadata=called(who))
                refusal = await refusal_of(export(otlp_request(otlp_span()), metadata=called(who)))
                assert isinstance(refusal, errors.ResourceExhausted)
                assert (refusal.reason, refusal.metadata["subject"]) == ("RATE_LIMITED", f"key key-of-{who}")
                assert refusal.retry_after == pytest.approx(1.0, abs=0.1)
            for who in ("globex", SERVICE, ""):
                await export(many, metadata=called(who) if who else ())
            clock.advance(1.1)
            await export(otlp_request(otlp_span()), metadata=called("acme"))
        await mesh.stop()


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 32, "a" * 31, "a" * 33, "aa " * 10 + "aa", "ä" * 32])
async def test_a_trace_id_has_32_hexadecimal_digits(channel: grpc.aio.Channel, wrong: str) -> None:
    refusal = await refusal_of(trace_of(channel, wrong))
    assert isinstance(refusal, errors.InvalidInput)
    assert [violation.field for violation in refusal.violations] == ["trace_id"]


async def test_a_trace_that_is_not_kept_is_not_found(channel: grpc.aio.Channel) -> None:
    await exporting(channel)(otlp_request(otlp_span()))
    refusal = await refusal_of(trace_of(channel, "a" * 32))
    assert isinstance(refusal, errors.NotFound)
    assert (refusal.kind, refusal.name) == ("trace", "a" * 32)
    assert len((await trace_of(channel, TRACE.upper())).spans) == 1


async def test_an_answer_is_bounded_by_number_and_by_size(channel: grpc.aio.Channel, file: Path) -> None:
    store = SpanStore(file)
    store.add([record(1, span) for span in range(1, 10_003)])
    store.add([record(2, span, size=10_000) for span in range(1, 400)])
    store.close()
    many, large = await trace_of(channel, f"{1:032x}"), await trace_of(channel, f"{2:032x}")
    assert (len(many.spans), many.truncated) == (10_000, True)
    assert large.truncated
    assert 2_900_000 < large.ByteSize() <= 3 * 1024 * 1024


async def test_sending_and_looking_make_no_spans(channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace_layer, "_tracer", provider.get_tracer("test"))
    await exporting(channel)(otlp_request(otlp_span()))
    await trace_of(channel)
    assert exporter.get_finished_spans() == ()


async def test_a_mesh_without_a_store_says_so(ids: Ids) -> None:
    mesh = MeshServer(Listen(port=0), ids)
    with collecting(mesh, None):
        await mesh.start()
        async with DevTeamClient(f"http://127.0.0.1:{mesh.port}", api_key="") as client:
            with pytest.raises(errors.NotFound, match="keeps no traces: its spans go to where") as caught:
                await client.get_trace(TRACE)
        await mesh.stop()
    assert caught.value.reason == "NO_TRACE_STORE"


async def test_several_spans_of_one_batch_are_stored_by_their_services(channel: grpc.aio.Channel, file: Path) -> None:
    request = otlp_request(otlp_span(1), service_name="a", host_name="asus")
    request.resource_spans.extend(otlp_request(otlp_span(2), service_name="b").resource_spans)
    await exporting(channel)(request)
    assert [(span.service, span.attributes) for span in stored_spans(file)] == [("a", {"host.name": "asus"}), ("b", {})]
