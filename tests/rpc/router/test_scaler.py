"""KEDA's ExternalScaler on the wire: one Router, two of them, and one that goes down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from devteam_router.ports import RoutersChanged, RoutingChanged
from devteam_router.routing import QueuePolicy, Wishes

from devteam.keda import externalscaler_pb2_grpc
from devteam.keda.externalscaler_pb2 import (
    GetMetricsRequest,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
)
from devteam.mesh.errors import DevTeamError, InvalidInput, Unavailable
from devteam.mesh.status import from_rpc
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker
from tests.fakes.worker_line import WorkerLine
from tests.rpc.router.mesh import DispatchCall, Mesh, a_run, refusal, running

if TYPE_CHECKING:
    from devteam.keda.externalscaler_pb2_grpc import ExternalScalerAsyncStub

PATIENCE = 60.0
METRIC = "devteam_queue_demand_slots-default"
# The metadata that KEDA puts beside what an owner wrote, and what the owner wrote.
TRIGGER = {"scalerAddress": "router:7402", "queue": "default", "slotsPerWorker": "4"}


@dataclass(frozen=True, slots=True)
class Keda:
    """What KEDA asks of a Router for one trigger."""

    scaler: "ExternalScalerAsyncStub"
    ref: ScaledObjectRef

    async def active(self) -> bool:
        return (await self.scaler.IsActive(self.ref)).result

    async def value(self) -> int:
        (value,) = (await self.scaler.GetMetrics(GetMetricsRequest(scaledObjectRef=self.ref))).metricValues
        assert value == MetricValue(
            metricName=METRIC, metricValue=value.metricValue, metricValueFloat=value.metricValue
        )
        return value.metricValue

    def stream(self) -> "Stream":
        return Stream(self.scaler.StreamIsActive(self.ref))


class Stream:
    """An open StreamIsActive."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def says(self) -> bool:
        """The next word."""
        answer = await asyncio.wait_for(self._call.read(), PATIENCE)
        assert isinstance(answer, IsActiveResponse), "the stream ended"
        return answer.result

    async def says_in_time(self, clock: FakeClock) -> bool:
        """The next word, while time goes on: a Router that has spoken is silent for a second."""
        word = asyncio.create_task(self.says())
        while not word.done():
            clock.advance(1)
            await asyncio.wait({word}, timeout=0.05)
        return await word

    async def end(self) -> tuple[grpc.StatusCode, DevTeamError]:
        """What it ends with."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(self._call.read(), PATIENCE)
        return caught.value.code(), from_rpc(caught.value)

    def close(self) -> None:
        self._call.cancel()


def keda(mesh: Mesh, **metadata: str) -> Keda:
    ref = ScaledObjectRef(name="devteam-worker", namespace="workers", scalerMetadata={**TRIGGER, **metadata})
    return Keda(externalscaler_pb2_grpc.ExternalScalerStub(mesh.channel), ref)


class Planner:
    """Dispatches tasks, and holds on to its calls: what nobody follows is given up after a while."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._calls: dict[str, DispatchCall] = {}

    async def dispatches(self, *task_ids: str) -> None:
        """They wait, or run."""
        for task_id in task_ids:
            self._calls[task_id] = self._mesh.dispatch(a_run(task_id))
            await self._calls[task_id].hear()

    async def hears_report(self, task_id: str) -> None:
        """It has come to its end."""
        while (await self._calls[task_id].hear()).WhichOneof("event") != "report":
            pass


async def runs_through(mesh: Mesh, line: WorkerLine, task_id: str) -> None:
    """The worker has done what it was given."""
    await line.accept(task_id)
    await line.complete(task_id, last_seq=0)


class TestOneRouter:
    async def test_a_queue_that_nobody_ever_saw(self, mesh: Mesh) -> None:
        nowhere = keda(mesh)
        assert (await nowhere.active(), await nowhere.value()) == (False, 0)

    async def test_what_waits_and_what_runs(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        await mesh.worker(a_worker(queues={"default": 1}))
        await planner.dispatches("t1", "t2", "t3")
        assert (await keda(mesh).active(), await keda(mesh).value()) == (True, 3)
        assert await keda(mesh, queue="other").active() is False

    async def test_a_worker_that_is_busy_is_wanted_though_nothing_waits(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        await mesh.worker()
        await planner.dispatches("t1")
        assert (await keda(mesh).active(), await keda(mesh).value()) == (True, 1)

    async def test_what_waits_in_a_paused_queue_wants_nobody(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        await planner.dispatches("t1")
        mesh.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(paused=True)})))
        assert (await keda(mesh).active(), await keda(mesh).value()) == (False, 0)

    async def test_one_worker_is_good_for_its_slots(self, mesh: Mesh) -> None:
        (spec,) = (await keda(mesh).scaler.GetMetricSpec(keda(mesh).ref)).metricSpecs
        assert spec == MetricSpec(metricName=METRIC, targetSize=4, targetSizeFloat=4)
        stream: Any = keda(mesh).scaler.StreamMetricSpec(keda(mesh).ref)
        assert list((await stream.read()).metricSpecs) == [spec]
        await mesh.server.stop()
        assert (await Stream(stream).end())[0] is grpc.StatusCode.UNAVAILABLE

    @pytest.mark.parametrize(("key", "value"), [("queue", ""), ("queue", "a b"), ("slotsPerWorker", "0")])
    async def test_metadata_that_makes_no_sense_is_refused_by_all(self, mesh: Mesh, key: str, value: str) -> None:
        wrong = keda(mesh, **{key: value})
        streams: list[Any] = [wrong.scaler.StreamIsActive(wrong.ref), wrong.scaler.StreamMetricSpec(wrong.ref)]
        calls = [
            wrong.scaler.IsActive(wrong.ref),
            wrong.scaler.GetMetricSpec(wrong.ref),
            wrong.scaler.GetMetrics(GetMetricsRequest(scaledObjectRef=wrong.ref)),
            *(stream.read() for stream in streams),
        ]
        for call in calls:
            code, error = await refusal(call)
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert isinstance(error, InvalidInput)
            assert [violation.field.rpartition(".")[2] for violation in error.violations] == [key]

    async def test_a_metric_of_another_name_is_refused(self, mesh: Mesh) -> None:
        request = GetMetricsRequest(scaledObjectRef=keda(mesh).ref, metricName="cpu")
        code, error = await refusal(keda(mesh).scaler.GetMetrics(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert error.message == f"metricName: must be {METRIC}, as GetMetricSpec says"


class TestStream:
    async def test_it_says_what_is_and_then_what_changes(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        line = await mesh.worker()
        stream = keda(mesh).stream()
        assert await stream.says() is False
        await planner.dispatches("t1")
        assert await stream.says_in_time(mesh.clock) is True
        await runs_through(mesh, line, "t1")
        assert await stream.says_in_time(mesh.clock) is False
        stream.close()

    async def test_within_a_second_it_does_not_take_back_what_it_said(self, mesh: Mesh) -> None:
        """Each word makes KEDA look at the whole deployment."""
        planner, line = Planner(mesh), await mesh.worker()
        await planner.dispatches("t1")
        stream = keda(mesh).stream()
        assert await stream.says() is True
        await runs_through(mesh, line, "t1")
        await planner.hears_report("t1")
        await planner.dispatches("t2")
        mesh.clock.advance(1)
        await mesh.server.stop()
        code, _ = await stream.end()
        assert code is grpc.StatusCode.UNAVAILABLE

    async def test_a_pause_is_a_change(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        await planner.dispatches("t1")
        stream = keda(mesh).stream()
        assert await stream.says() is True
        mesh.core.hear(RoutingChanged(Wishes(queues={"default": QueuePolicy(paused=True)})))
        assert await stream.says_in_time(mesh.clock) is False
        stream.close()

    async def test_it_ends_when_the_router_goes_down(self, mesh: Mesh) -> None:
        planner = Planner(mesh)
        idle, busy = keda(mesh, queue="other").stream(), keda(mesh).stream()
        await planner.dispatches("t1")
        assert await idle.says() is False
        assert await busy.says() in {True, False}
        async with asyncio.timeout(PATIENCE):
            await mesh.server.stop()
        for stream in (idle, busy):
            code, error = await stream.end()
            assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")

    async def test_nothing_is_left_of_one_that_was_closed(self, mesh: Mesh) -> None:
        stream = keda(mesh).stream()
        await stream.says()
        assert mesh.core.demand._watchers
        stream.close()
        async with asyncio.timeout(PATIENCE):
            while mesh.core.demand._watchers:  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0)


@asynccontextmanager
async def pair(clock: FakeClock) -> AsyncIterator[tuple[Mesh, Mesh]]:
    """Two Routers that know each other."""
    async with running(clock) as one, running(clock, router_id="router-2") as other:
        addresses = {
            "router-1": f"http://127.0.0.1:{one.server.port}",
            "router-2": f"http://127.0.0.1:{other.server.port}",
        }
        for mesh in (one, other):
            mesh.core.hear(RoutersChanged(addresses))
        yield one, other


class TestTwoRouters:
    async def test_their_demand_is_added_up_whichever_is_asked(self, clock: FakeClock) -> None:
        async with pair(clock) as (one, other):
            one_planner, other_planner = Planner(one), Planner(other)
            await one.worker(a_worker("w1", queues={"default": 1}))
            await one_planner.dispatches("t1", "t2")
            await other_planner.dispatches("t3")
            for mesh in (one, other):
                assert (await keda(mesh).active(), await keda(mesh).value()) == (True, 3)

    async def test_one_without_demand_knows_of_the_other(self, clock: FakeClock) -> None:
        async with pair(clock) as (one, other):
            other_planner = Planner(other)
            assert (await keda(one).active(), await keda(one).value()) == (False, 0)
            await other_planner.dispatches("t1")
            assert await keda(one).active() is True

    async def test_a_change_at_the_other_is_noticed_within_seconds(self, clock: FakeClock) -> None:
        async with pair(clock) as (one, other):
            other_planner = Planner(other)
            line = await other.worker()
            stream = keda(one).stream()
            assert await stream.says() is False
            before = clock.monotonic()
            await other_planner.dispatches("t1")
            assert await stream.says_in_time(clock) is True
            await runs_through(other, line, "t1")
            assert await stream.says_in_time(clock) is False
            assert clock.monotonic() > before
            stream.close()

    async def test_what_cannot_be_known_is_not_taken_for_nothing(self, clock: FakeClock) -> None:
        async with pair(clock) as (one, other):
            one_planner = Planner(one)
            stream = keda(one).stream()
            assert await stream.says() is False
            await other.server.stop()
            for call in (
                keda(one).scaler.IsActive(keda(one).ref),
                keda(one).scaler.GetMetrics(GetMetricsRequest(scaledObjectRef=keda(one).ref)),
            ):
                code, error = await refusal(call)
                assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ROUTER_UNREACHABLE")
                assert isinstance(error, Unavailable)
                assert "default" in error.message
            await one_planner.dispatches("t1")
            assert await keda(one).active() is True
            assert await stream.says_in_time(clock) is True
            stream.close()

    async def test_one_that_is_gone_for_good_is_left_out(self, clock: FakeClock) -> None:
        async with pair(clock) as (one, other):
            one_planner, other_planner = Planner(one), Planner(other)
            await one_planner.dispatches("t1")
            await other_planner.dispatches("t2")
            await other.server.stop()
            one.core.hear(RoutersChanged({"router-1": f"http://127.0.0.1:{one.server.port}"}))
            assert await keda(one).value() == 1
