"""What Routers see, and those who look on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import grpc
import pytest
from devteam_registry.settings import Settings

from devteam.mesh.errors import ResourceExhausted, Unavailable
from devteam.mesh.status import from_rpc
from devteam.v1 import registry_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.rpc.registry.mesh import Mesh, mask, running


async def following(mesh: Mesh, router_id: str = "") -> AsyncIterator[pb.WatchWorkersResponse]:
    """What a watch tells of workers."""
    events = aiter(mesh.stub.WatchWorkers(pb.WatchWorkersRequest(router_id=router_id)))
    while True:
        event = await asyncio.wait_for(anext(events), 60)
        if event.WhichOneof("event") not in {"routing", "routers"}:
            yield event


async def exhausted(events: AsyncIterator[pb.WatchWorkersResponse]) -> None:
    """Read until the watch ends."""
    async for _ in events:
        pass


async def test_an_empty_fleet_is_one_complete_snapshot(mesh: Mesh) -> None:
    """A Router learns that there is nobody, rather than waiting for somebody."""
    events = following(mesh)
    expected = pb.WatchWorkersResponse(snapshot=pb.WorkerSnapshot(complete=True))
    assert await anext(events) == expected
    await events.aclose()  # type: ignore[attr-defined]  # an async generator behind its protocol


async def test_a_watch_tells_a_whole_life(mesh: Mesh) -> None:
    """Known before, registered, silent, lost, superseded, wanted otherwise, gone."""
    await mesh.register("w0")
    events = following(mesh)
    snapshot = (await anext(events)).snapshot
    assert ([record.worker.worker_id for record in snapshot.workers], snapshot.complete) == (["w0"], True)
    await mesh.stub.DeregisterWorker(pb.DeregisterWorkerRequest(worker_id="w0", reason="moved house"))
    removed = (await anext(events)).removed
    assert (removed.worker_id, removed.instance_id, removed.reason) == ("w0", "i1", "moved house")
    await mesh.register("w1")
    assert (await anext(events)).changed.worker.state == pb.WORKER_STATE_HEALTHY
    await mesh.pass_time(120)
    assert (await anext(events)).changed.worker.state == pb.WORKER_STATE_UNHEALTHY
    assert (await anext(events)).changed.worker.state == pb.WORKER_STATE_LOST
    await mesh.register("w1", "i2")
    assert (await anext(events)).changed.worker.instance_id == "i2"
    await mesh.stub.UpdateWorker(
        pb.UpdateWorkerRequest(worker_id="w1", update_mask=mask("availability"), availability=pb.AVAILABILITY_CORDONED)
    )
    assert (await anext(events)).changed.worker.availability == pb.AVAILABILITY_CORDONED
    await mesh.pass_time(300)
    assert (await anext(events)).changed.worker.state == pb.WORKER_STATE_UNHEALTHY
    assert (await anext(events)).changed.worker.state == pb.WORKER_STATE_LOST
    removed = (await anext(events)).removed
    assert (removed.instance_id, removed.reason) == ("i2", "no beat for 300 s")


async def test_a_large_fleet_comes_in_parts(mesh: Mesh) -> None:
    """501 workers are two messages, the second of them complete."""
    for number in range(501):
        await mesh.register(f"w{number}")
    events = following(mesh)
    parts = [(await anext(events)).snapshot for _ in range(2)]
    assert [(len(part.workers), part.complete) for part in parts] == [(500, False), (1, True)]


async def test_a_watcher_that_does_not_read_is_let_go(clock: FakeClock) -> None:
    """It gets what fitted, then SLOW_CONSUMER; workers never noticed."""
    async with running(Settings(database_url="memory", watcher_backlog=20), clock) as mesh:
        watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest())
        events = aiter(watch)
        await anext(events)
        for number in range(700):
            await mesh.register(f"w{number}")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(exhausted(events), 60)
        error = from_rpc(caught.value)
        assert (type(error), error.reason) == (ResourceExhausted, "SLOW_CONSUMER")


async def test_a_stopping_registry_ends_its_watches_at_once(mesh: Mesh) -> None:
    """A Router learns of it and watches again elsewhere."""
    events = following(mesh)
    await anext(events)
    async with asyncio.timeout(60):
        await mesh.server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(events)
    error = from_rpc(caught.value)
    assert (type(error), error.reason) == (Unavailable, "DRAINING")


async def test_a_watcher_that_hangs_up_is_forgotten(mesh: Mesh) -> None:
    """Another watcher is not disturbed by it."""
    watch = mesh.stub.WatchWorkers(pb.WatchWorkersRequest())
    await anext(aiter(watch))
    watch.cancel()
    events = following(mesh)
    await anext(events)
    await mesh.register("w1")
    assert (await anext(events)).changed.worker.worker_id == "w1"


async def test_who_is_no_router_learns_nothing_that_proves_a_session(mesh: Mesh) -> None:
    """Neither at the beginning nor later; a Router does."""
    for router_id, told in (("", False), ("r1", True)):
        await mesh.register("w1")
        events = following(mesh, router_id)
        digests = [record.session_digest for record in (await anext(events)).snapshot.workers]
        await mesh.register("w1", "i2")
        digests.append((await anext(events)).changed.session_digest)
        assert [bool(digest) for digest in digests] == [told, told]
        await events.aclose()  # type: ignore[attr-defined]  # an async generator behind its protocol


async def test_who_looks_on_sees_every_beat_and_a_router_does_not(mesh: Mesh) -> None:
    """How much a worker runs, how its machine is doing, and when it will be missed."""
    token = (await mesh.register("w1")).session_token
    looking, router = following(mesh), following(mesh, "r1")
    for events in (looking, router):
        await anext(events)
    await mesh.pass_time(10)
    vitals = pb.Vitals(memory_available=3, memory_total=8)
    await mesh.stub.Heartbeat(
        pb.HeartbeatRequest(worker_id="w1", instance_id="i1", session_token=token, active_tasks=2, vitals=vitals)
    )
    seen = (await anext(looking)).changed.worker
    assert (seen.active_tasks, seen.vitals) == (2, vitals)
    assert seen.last_heartbeat_at.ToDatetime(UTC) == mesh.clock.now()
    assert seen.next_state_time.ToDatetime(UTC) == mesh.clock.now() + timedelta(seconds=60)
    await mesh.register("w2")
    assert (await anext(router)).changed.worker.worker_id == "w2"
