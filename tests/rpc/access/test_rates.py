"""How often a key may call."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from devteam import DevTeamClient
from devteam.mesh import status
from devteam.mesh.access.caller import Role
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import ResourceExhausted
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import MESH_KEY, PATIENCE, GuardedMesh, guarded_mesh
from tests.fakes.stored_spans import otlp_request, otlp_span
from tests.rpc.secured import secured

CREATE = "/devteam.v1.PlannerService/CreateTask"
GET = "/devteam.v1.PlannerService/GetTask"
CANCEL = "/devteam.v1.PlannerService/CancelTask"
BEAT = "/devteam.v1.RegistryService/Heartbeat"
JOIN = "/devteam.v1.AccessService/JoinWorker"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
OK, LIMITED = ("OK", ""), ("RESOURCE_EXHAUSTED", "RATE_LIMITED")


async def let_through(mesh: GuardedMesh, path: str, key: str, *metadata: tuple[str, str], calls: int = 12) -> int:
    found = [await mesh.outcome(path, key, *metadata) for _ in range(calls)]
    assert set(found) <= {OK, LIMITED}
    return found.count(OK)


@pytest.mark.parametrize(("path", "kind"), [(CREATE, "creates"), (GET, "reads"), (CANCEL, "writes")])
async def test_each_kind_of_call_has_a_burst_and_a_rate_for_each_key(clock: FakeClock, path: str, kind: str) -> None:
    limits: dict[str, Any] = {f"{kind}_burst": 5, f"{kind}_per_second": 2}
    async with guarded_mesh(clock, **limits) as mesh:
        key, other = mesh.key(Role.CLIENT), mesh.key(Role.CLIENT)
        assert await let_through(mesh, path, key) == 5
        assert await let_through(mesh, path, other) == 5
        clock.advance(1.5)
        assert await let_through(mesh, path, key) == 3
        for elsewhere in {CREATE, GET, CANCEL} - {path}:
            assert await let_through(mesh, elsewhere, key) == 12


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER])
async def test_batches_of_spans_are_as_many_as_reads_and_apart_from_them(clock: FakeClock, role: Role) -> None:
    async with guarded_mesh(clock, reads_burst=5, reads_per_second=2) as mesh:
        key = mesh.key(role)
        assert await let_through(mesh, EXPORT, key) == 5
        assert await let_through(mesh, EXPORT, MESH_KEY) == 12
        assert await let_through(mesh, "/devteam.v1.AccessService/GetIdentity", key) == 5


async def test_spans_are_bounded_by_what_they_are_and_the_log_tells_once(tmp_path: Path) -> None:
    """On a mesh that keeps them: so many of each key, also of those that come in few batches."""
    spans = otlp_request(*map(otlp_span, range(1, 101)))
    async with secured(tmp_path, spans_per_second=0.1, spans_burst=100) as mesh:
        export: Any = (await mesh.line(await mesh.key("worker"))).unary_unary(
            EXPORT, request_serializer=ExportTraceServiceRequest.SerializeToString
        )
        with structlog.testing.capture_logs() as logs:
            reasons = [await reason_of(export(spans)) for _ in range(5)]
    assert reasons == ["", "", "RATE_LIMITED", "RATE_LIMITED", "RATE_LIMITED"]
    assert [line["reason"] for line in logs if line["event"] == "call refused"] == ["RATE_LIMITED"]


async def reason_of(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return status.from_rpc(error).reason
    return ""


async def test_none_is_any(clock: FakeClock) -> None:
    async with guarded_mesh(clock, reads_burst=1, reads_per_second=0) as mesh:
        assert await let_through(mesh, GET, mesh.key(Role.CLIENT)) == 12


async def test_a_key_may_have_a_rate_of_its_own(clock: FakeClock) -> None:
    """Its burst grows with it; it counts for creates alone."""
    async with guarded_mesh(clock, creates_burst=3, creates_per_second=1, reads_burst=3) as mesh:
        key = mesh.key(Role.CLIENT, rate=3)
        assert await let_through(mesh, CREATE, key) == 9
        assert await let_through(mesh, GET, key) == 3
        clock.advance(1)
        assert await let_through(mesh, CREATE, key) == 3


async def test_beats_and_services_are_never_too_many(clock: FakeClock) -> None:
    limits: dict[str, Any] = {f"{kind}_burst": 1 for kind in ("creates", "reads", "writes")}
    async with guarded_mesh(clock, **limits) as mesh:
        assert await let_through(mesh, BEAT, mesh.key(Role.WORKER)) == 12
        assert await let_through(mesh, "/devteam.v1.AccessService/ListKeys", MESH_KEY) == 12


async def test_strangers_who_join_share_the_rate_of_their_address(clock: FakeClock) -> None:
    async with guarded_mesh(clock, writes_burst=4) as mesh:
        assert await let_through(mesh, JOIN, "", mesh.elsewhere()) == 4
        assert await let_through(mesh, JOIN, "", mesh.elsewhere()) == 4


async def test_whoever_is_sent_away_is_told_when_to_come_back_each_at_a_time_of_its_own(clock: FakeClock) -> None:
    async with guarded_mesh(clock, creates_burst=1, creates_per_second=10) as mesh:
        key = mesh.key(Role.CLIENT)
        await mesh.call(CREATE, key)
        waits = []
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await mesh.call(CREATE, key)
            error = status.from_rpc(caught.value)
            assert isinstance(error, ResourceExhausted)
            assert (error.reason, error.metadata["subject"]) == ("RATE_LIMITED", f"key {key.split('_')[1]}")
            assert quota_of(caught.value).violations[0].subject == error.metadata["subject"]
            waits.append(error.retry_after)
        assert waits == pytest.approx([0.105, 0.205, 0.305], abs=0.002)


def quota_of(error: grpc.aio.AioRpcError) -> error_details_pb2.QuotaFailure:
    found = error_details_pb2.QuotaFailure()
    rich = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError will do
    assert rich is not None
    assert any(detail.Unpack(found) for detail in rich.details if detail.Is(found.DESCRIPTOR))
    return found


async def test_two_thousand_creates_at_once_end_well() -> None:
    """The client comes back when it is told to; nothing is refused in the end, and nothing is made twice."""
    async with guarded_mesh(SystemClock(), creates_burst=1_000, creates_per_second=500) as mesh:
        url = f"http://127.0.0.1:{mesh.server.port}"
        async with DevTeamClient(url, api_key=mesh.key(Role.CLIENT), timeout=60) as client:
            async with asyncio.timeout(2 * PATIENCE):
                await asyncio.gather(*(client.create_task("p", model="m") for _ in range(2_000)))
        assert len(mesh.callers) == 2_000


async def test_a_client_does_not_wait_for_ever(clock: FakeClock) -> None:
    async with guarded_mesh(clock, creates_burst=1, creates_per_second=0.001) as mesh:
        url = f"http://127.0.0.1:{mesh.server.port}"
        async with DevTeamClient(url, api_key=mesh.key(Role.CLIENT)) as client:
            await client.create_task("p", model="m")
            with pytest.raises(ResourceExhausted) as caught:
                await client.create_task("p", model="m")
    assert timedelta(seconds=caught.value.retry_after) > timedelta(minutes=1)
