"""A Router that goes down says so, and does not wait for streams that never end."""

import asyncio

import grpc

from devteam.v1 import worker_pb2
from tests.rpc.router.mesh import Mesh, a_run


async def test_open_streams_end_although_nobody_closes_them(mesh: Mesh) -> None:
    worker = await mesh.worker()
    running, waiting = mesh.dispatch(a_run("t1")), mesh.dispatch(a_run("t2", queue="nowhere"))
    await worker.hear()
    await running.hear()
    await waiting.hear()

    async with asyncio.timeout(60):
        (worker_end, _) = await asyncio.gather(worker.ended(), mesh.server.stop())
        ends = [worker_end, (await running.hear_out())[1], (await waiting.hear_out())[1]]

    assert [code for code, _ in ends] == [grpc.StatusCode.UNAVAILABLE] * 3
    assert [error.reason for _, error in ends if error] == ["DRAINING"] * 3


async def test_workers_are_told_before_their_stream_ends(mesh: Mesh) -> None:
    worker = await mesh.worker()
    stopping = asyncio.create_task(mesh.server.stop())
    assert (await worker.hear()).drain == worker_pb2.Drain(reason=worker_pb2.Drain.REASON_ROUTER)
    code, error = await worker.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert error is not None
    assert error.reason == "DRAINING"
    await stopping
