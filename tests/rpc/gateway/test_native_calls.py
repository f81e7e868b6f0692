"""gRPC itself through the front door: all that is public goes through, and nothing else."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from devteam_cli.gateway import admin
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.errors import NotFound
from devteam.mesh import options
from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from devteam.mesh.names import EXPORT_SPANS
from devteam.v1 import planner_pb2, planner_pb2_grpc, worker_pb2, worker_pb2_grpc
from tests.fakes.echoing_mesh import METHODS, EchoingMesh
from tests.fakes.gateway import PATIENCE, Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What only services say to each other, and what KEDA asks from inside a cluster.
PRIVATE = sorted(
    name for name, rule in RULES.items() if rule.roles <= {Role.SERVICE} or name.startswith("/externalscaler.")
)
PUBLIC = sorted(RULES.keys() - PRIVATE)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def channel(door: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(door.address, options.CLIENT) as channel:
        yield channel


async def outcome(channel: grpc.aio.Channel, method: str) -> tuple[grpc.StatusCode, str]:
    """How a call ends that says nothing; a stream is ended once it has begun."""
    called: Any = channel.unary_stream(method)
    try:
        async for _ in called(b"", timeout=PATIENCE):
            pass
    except grpc.aio.AioRpcError as refused:
        return refused.code(), refused.details() or ""
    return grpc.StatusCode.OK, ""


async def test_the_private_calls_are_those_of_the_issue() -> None:
    own = {name.rpartition("/")[2] for name in PRIVATE if not name.startswith("/externalscaler.")}
    assert own == {
        "Dispatch",
        "AckDispatches",
        "CancelDispatch",
        "ShareThrottle",
        "ReportLinks",
        "WatchKeys",
        "GetKeysRevision",
    }


@pytest.mark.parametrize("method", [*PRIVATE, "/devteam.v1.PlannerService/Nothing", "/devteam.v1.Nobody/GetTask"])
async def test_what_is_not_public_does_not_get_through(
    mesh: EchoingMesh, channel: grpc.aio.Channel, method: str
) -> None:
    code, words = await outcome(channel, method)
    assert (code, mesh.calls) == (grpc.StatusCode.UNIMPLEMENTED, [])
    assert words == "nothing is served here; docs/gateway.md says what is"


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text", "application/json"])
async def test_nor_does_it_in_other_ways_of_saying_it(mesh: EchoingMesh, http: httpx.AsyncClient, kind: str) -> None:
    for method in PRIVATE:
        await http.post(method, content=b"\0\0\0\0\0", headers={"content-type": kind})
    assert mesh.calls == []


@pytest.mark.parametrize("method", [name for name in PUBLIC if name in METHODS])
async def test_every_public_call_gets_through(mesh: EchoingMesh, channel: grpc.aio.Channel, method: str) -> None:
    assert (await outcome(channel, method))[0] is grpc.StatusCode.OK
    assert [call.method for call in mesh.calls] == [method]


async def test_so_do_health_reflection_and_spans(mesh: EchoingMesh, channel: grpc.aio.Channel) -> None:
    """Those that the Planner answers, whoever else could."""
    known = {"/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha."}
    assert all(name == EXPORT_SPANS or name in METHODS or name.startswith(tuple(known)) for name in PUBLIC)
    health = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service="devteam.v1.PlannerService")
    assert (await health.Check(asked, timeout=PATIENCE)).status == health_pb2.HealthCheckResponse.SERVING
    # Nobody takes spans here, and says so itself.
    assert await outcome(channel, EXPORT_SPANS) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    for version in ("v1", "v1alpha"):
        name = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        assert (await outcome(channel, name))[0] is not grpc.StatusCode.UNIMPLEMENTED


async def test_details_of_errors_arrive_as_they_were_sent(mesh: EchoingMesh, channel: grpc.aio.Channel) -> None:
    mesh.says["/devteam.v1.PlannerService/GetTask"] = [NotFound("task", "t-1")]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await planner_pb2_grpc.PlannerServiceStub(channel).GetTask(planner_pb2.GetTaskRequest(), timeout=PATIENCE)
    keys = [key for key, _ in refused.value.trailing_metadata()]
    assert (refused.value.code(), "grpc-status-details-bin" in keys) == (grpc.StatusCode.NOT_FOUND, True)


async def test_a_workers_line_carries_words_both_ways(mesh: EchoingMesh, channel: grpc.aio.Channel) -> None:
    go_on = asyncio.Event()
    attached = worker_pb2.ConnectResponse(attached=worker_pb2.Attached(router_id="r-1"))
    drain = worker_pb2.ConnectResponse(drain=worker_pb2.Drain())
    mesh.says["/devteam.v1.WorkerService/Connect"] = [attached, go_on, drain]
    call = worker_pb2_grpc.WorkerServiceStub(channel).Connect()
    async with asyncio.timeout(PATIENCE):
        await call.write(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="w-1")))
        first: Any = await call.read()
        await call.write(worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1)))
        go_on.set()
        second: Any = await call.read()
    call.cancel()
    assert (first.attached.router_id, second.WhichOneof("item")) == ("r-1", "drain")


async def test_the_caller_is_who_connects_and_its_trace_goes_on(mesh: EchoingMesh, channel: grpc.aio.Channel) -> None:
    """What a caller says of its address is dropped; its key, its tenant and its trace go through as they are."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    said = {"authorization": "Bearer dtc_x", "devteam-tenant": "acme", "traceparent": trace}
    lies = {"x-forwarded-for": "10.1.2.3", "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-original-path": "/x"}
    request = planner_pb2.GetTaskRequest(task_id="t-1")
    stub = planner_pb2_grpc.PlannerServiceStub(channel)
    await stub.GetTask(request, timeout=PATIENCE, metadata=tuple({**said, **lies}.items()))
    heard = mesh.calls[0].metadata
    assert {name: heard[name] for name in said} == said
    assert "10.1.2.3" not in heard["x-forwarded-for"]
    assert not {"x-envoy-upstream-rq-timeout-ms", "x-envoy-original-path"} & heard.keys()


async def test_streams_have_no_timer_and_calls_with_one_answer_do(door: Gateway) -> None:
    """As Envoy itself says that it is configured: nothing cuts a worker that is quiet for a night."""
    front = await routes_of(door)
    for name, method in METHODS.items():
        route = _route_of(name, front)
        if name in PRIVATE:
            assert route is None, name
            continue
        assert route is not None, name
        if method.server_streaming:
            assert (route["timeout"], route["idle_timeout"]) == ("0s", "0s"), name
            assert not {"retry_policy", "max_stream_duration"} & route.keys(), name
        else:
            whole = {"max_stream_duration": "30s"}
            assert (route["timeout"], route["max_stream_duration"]) == ("15s", whole), name


async def test_a_create_may_be_sent_again_only_when_nobody_heard_it(door: Gateway) -> None:
    front = await routes_of(door)
    for name, rule in RULES.items():
        route = _route_of(name, front) or {}
        if rule.rate in {"create", "write"} and name in METHODS and not METHODS[name].server_streaming:
            assert route["retry_policy"]["retry_on"] == "connect-failure,refused-stream", name


async def test_messages_of_any_method_are_known(door: Gateway) -> None:
    """The transcoder reads the same contracts as these tests."""
    files = (door.folder.shared / "devteam.binpb").read_bytes()
    for method in METHODS.values():
        name = message_factory.GetMessageClass(method.input_type).DESCRIPTOR.name
        assert name.encode() in files


async def routes_of(door: Gateway) -> list[Any]:
    """The one table that it routes by, wherever it tells of it."""
    dump = json.loads(await admin.asked(door.folder.admin, "/config_dump"))
    first, *others = [table for table in _routes_in(dump) if "WorkerService" in str(table)]
    assert all(other == first for other in others)
    return first


def _routes_in(dump: Any) -> list[list[Any]]:
    """The route tables in it, wherever they stand."""
    if isinstance(dump, dict):
        own = [dump["routes"]] if "routes" in dump else []
        return own + [found for value in dump.values() for found in _routes_in(value)]
    return [found for value in dump for found in _routes_in(value)] if isinstance(dump, list) else []


def _route_of(name: str, routes: list[Any]) -> dict[str, Any] | None:
    """The first that a method's path matches; None when it is answered by Envoy itself."""
    for route in routes:
        match = route["match"]
        pattern = match.get("safe_regex", {}).get("regex") or re.escape(match.get("path", "")) or None
        if pattern and re.fullmatch(pattern, name):
            return dict(route["route"])
    return None
