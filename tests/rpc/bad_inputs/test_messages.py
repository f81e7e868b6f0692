"""Rows 14 to 19, 25, 28 and 54 to 58: bytes, deadlines, metadata and lines."""

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import pytest

from devteam.mesh import options
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import worker_pb2
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.rpc.bad_inputs.table import Row, answer_to, row
from tests.rpc.planner.mesh import Mesh
from tests.rpc.router.mesh import Mesh as RouterMesh
from tests.rpc.secured import Secured

PATIENCE = 60.0
GET, CREATE = "/devteam.v1.PlannerService/GetTask", "/devteam.v1.PlannerService/CreateTask"
# Groups of field 1, and a message in a message: of run_timeout's path there is no such depth.
_NESTED = b"\x0b" * 200 + b"\x0c" * 200


def sending(mesh: Mesh, path: str, data: bytes, **more: Any) -> Any:
    """A call with these bytes."""
    call: Any = mesh.channel.unary_unary(path)
    return call(data, timeout=PATIENCE, **more)


@pytest.mark.parametrize(
    ("entry", "path", "data"),
    [
        (row(14), CREATE, pb.CreateTaskRequest(task=pb.TaskSpec(prompt="x" * (4 << 20))).SerializeToString()),
        (row(17), GET, b"\x0a\x02\xff\xfe"),
        (row(18), GET, b"\x0a\x7fabc"),
        (row(19), GET, _NESTED),
    ],
    ids=lambda given: str(getattr(given, "number", "")),
)
async def test_bytes_are_refused(mesh: Mesh, entry: Row, path: str, data: bytes) -> None:
    assert await answer_to(sending(mesh, path, data)) == entry.answer


async def test_a_gzip_bomb_is_refused(mesh: Mesh) -> None:
    bomb = pb.CreateTaskRequest(task=pb.TaskSpec(prompt="\x00" * (64 << 20))).SerializeToString()
    assert await answer_to(sending(mesh, CREATE, bomb, compression=grpc.Compression.Gzip)) == row(16).answer
    assert await answer_to(mesh.stub.ListTasks(pb.ListTasksRequest())) == row(28).answer


async def test_a_huge_message_ends_a_workers_stream_and_no_other(line: RouterMesh) -> None:
    worker = await line.worker()
    other = line.line()
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await other.say(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="x" * (5 << 20))))
    status, _ = await other.ended()
    # Of a stream that it is still writing to, gRPC's client tells an error of its own instead.
    assert status.name in {row(15).status, "INTERNAL"}
    await worker.say(worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1)))
    assert (await worker.hear()).beat_ack.number == 1


async def test_a_deadline_that_has_passed_reaches_nobody(mesh: Mesh) -> None:
    call = mesh.stub.CreateTask(pb.CreateTaskRequest(task=pb.TaskSpec(prompt="hi", model="sim")), timeout=-1)
    assert await answer_to(call) == row(25).answer
    assert not (await mesh.stub.ListTasks(pb.ListTasksRequest())).tasks


async def test_a_field_of_a_newer_contract_is_ignored(mesh: Mesh) -> None:
    assert (
        await answer_to(sending(mesh, "/devteam.v1.PlannerService/ListTasks", b"\xfa\xff\x7f\x03new")) == row(28).answer
    )


async def test_metadata_that_is_too_large_is_refused(mesh: Mesh) -> None:
    assert await answer_to(sending(mesh, GET, b"", metadata=(("x-much", "x" * 17_000),))) == row(57).answer


async def test_a_method_that_does_not_exist_is_refused(mesh: Mesh) -> None:
    assert await answer_to(sending(mesh, "/devteam.v1.PlannerService/DropTables", b"")) == row(58).answer


async def test_plain_text_to_a_tls_port_is_refused(guarded: Secured) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{guarded.port}") as plain:
        status, _, _ = await answer_to(PlannerServiceStub(plain).ListTasks(pb.ListTasksRequest(), timeout=PATIENCE))
    assert f"a TLS port is {status}" in row(58).because


async def test_who_is_gone_without_a_word_is_found_soon() -> None:
    """How soon is what both ends are set to: to see it takes a network that swallows packets, as tests/chaos has."""
    for end in (dict(options.SERVER), dict(options.CLIENT)):
        wait = int(end["grpc.keepalive_time_ms"]) + int(end["grpc.http2.ping_timeout_ms"])
        assert f"within {wait // 1000} s" in row(54).because
        assert end["grpc.keepalive_permit_without_calls"] == 1


async def test_pings_as_often_as_ours_are_allowed() -> None:
    """With room to spare: a server that found them too many would cut the line."""
    every = int(dict(options.CLIENT)["grpc.keepalive_time_ms"])
    assert row(56).sent == f"pings every {every // 1000} s"
    assert int(dict(options.SERVER)["grpc.http2.min_ping_interval_without_data_ms"]) * 2 <= every


async def test_a_key_has_so_many_streams_and_no_more(guarded: Secured) -> None:
    stub = PlannerServiceStub(await guarded.line(await guarded.key("client", "acme")))
    watches = [stub.WatchTasks(pb.WatchTasksRequest()) for _ in range(2)]
    for watch in watches:
        await asyncio.wait_for(watch.read(), PATIENCE)
    assert await answer_to(stub.WatchTasks(pb.WatchTasksRequest()).read()) == row(55).answer
    for watch in watches:
        watch.cancel()
