"""How a worker ends: stopped, drained, or superseded."""

import asyncio
import threading

import pytest
from devteam_worker import Task

from devteam.mesh.errors import Aborted
from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from tests.fakes.mesh_server import PATIENCE, ScriptedMesh
from tests.rpc.worker.embedded import a_worker, plain, run_once, started
from tests.rpc.worker.rig import words


async def test_stopped_it_finishes_what_it_runs_and_takes_leave(mesh: ScriptedMesh) -> None:
    worker, enough = a_worker(mesh), threading.Event()

    @worker.on_task
    def handle(task: Task) -> str:
        return "done" if enough.wait(PATIENCE) else "stuck"

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        threading.Thread(target=worker.stop).start()
        assert (await mesh.registry.beaten()).availability == registry_pb2.AVAILABILITY_DRAINING
        line.assign("t2")
        assert (await line.hears()).rejected.reason == worker_pb2.REJECT_REASON_DRAINING

        enough.set()
        assert await words(line, 1) == (1, ["done"])
        assert (await line.hears()).report.last_seq == 1
        assert mesh.registry.farewells.empty()
        line.ack_report()
        assert (await mesh.registry.left()).instance_id == line.attach.instance_id
        await working
    assert mesh.registry.registrations.qsize() == 1


async def test_it_leaves_the_line_before_it_takes_leave(mesh: ScriptedMesh) -> None:
    """Else the Router would end it, and a worker that is not known any longer would register again."""
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker):
        line = await mesh.router.attached()
        mesh.registry.gate.clear()
        worker.stop()
        await mesh.registry.left()
        with pytest.raises(EOFError):
            await line.hears()
        mesh.registry.gate.set()


@pytest.mark.parametrize("who", ["router", "registry"])
async def test_an_operator_who_drains_it_ends_it(mesh: ScriptedMesh, who: str) -> None:
    mesh.registry.interval = 0.02
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker) as working:
        line = await mesh.router.attached()
        if who == "router":
            line.drain(worker_pb2.Drain.REASON_WORKER)
        else:
            mesh.registry.availability = registry_pb2.AVAILABILITY_DRAINING
        await mesh.registry.left()
        await working


@pytest.mark.parametrize("who", ["router", "registry"])
async def test_at_an_operators_deadline_it_hands_back_what_runs_and_leaves(mesh: ScriptedMesh, who: str) -> None:
    """Its own settings would have let it run for longer."""
    mesh.registry.interval = 0.02
    worker = a_worker(mesh)

    @worker.on_task
    async def handle(task: Task) -> None:
        await asyncio.Event().wait()

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        if who == "router":
            line.drain(worker_pb2.Drain.REASON_WORKER, 0.05)
        else:
            mesh.registry.availability, mesh.registry.drain_deadline = registry_pb2.AVAILABILITY_DRAINING, 0.05
        report = (await line.hears()).report
        assert report.hand_back.reason == run_pb2.HAND_BACK_REASON_DRAINING
        line.ack_report()
        await mesh.registry.left()
        await working


async def test_while_it_drains_it_beats_and_finishes_what_it_has(mesh: ScriptedMesh) -> None:
    """For as long as the operator gives it; a process that has to end takes its own time instead."""
    mesh.registry.interval = 0.02
    worker, done = a_worker(mesh), asyncio.Event()
    loop = asyncio.get_running_loop()

    @worker.on_task
    async def handle(task: Task) -> str:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done.wait(), loop))
        return "done"

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        line.drain(worker_pb2.Drain.REASON_WORKER, 3600)
        async with asyncio.timeout(PATIENCE):
            while (await mesh.registry.beaten()).availability != registry_pb2.AVAILABILITY_DRAINING:
                pass
        for _ in range(5):
            beat = await mesh.registry.beaten()
            assert (beat.availability, beat.active_tasks) == (registry_pb2.AVAILABILITY_DRAINING, 1)
        worker.stop()
        done.set()
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            pass
        assert request.report.WhichOneof("outcome") == "completion"
        line.ack_report()
        await mesh.registry.left()
        await working


async def test_a_worker_whose_id_another_one_took_over_ends_with_aborted(mesh: ScriptedMesh) -> None:
    """It stops what it runs, and does not take leave in the other one's name."""
    mesh.registry.interval = 0.02
    worker, stopped = a_worker(mesh), threading.Event()

    @worker.on_task
    async def handle(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    working = asyncio.create_task(worker.start())
    await run_once(mesh, handle)
    mesh.registry.supersede("another instance")
    with pytest.raises(Aborted, match="another instance"):
        await asyncio.wait_for(working, PATIENCE)
    assert await asyncio.to_thread(stopped.wait, PATIENCE)
    assert mesh.registry.farewells.empty()


async def test_it_can_be_stopped_while_it_waits_for_the_registry(mesh: ScriptedMesh) -> None:
    await mesh.stop()
    worker = a_worker(mesh)
    worker.on_task(plain)
    working = asyncio.create_task(worker.start())
    done, _ = await asyncio.wait([working], timeout=0.3)
    assert done == set()
    worker.stop()
    await asyncio.wait_for(working, PATIENCE)


async def test_it_may_be_stopped_once_more_when_it_has_ended(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker):
        await mesh.router.attached()
    worker.stop()
