"""Tasks that code of one's own handles."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator

import pytest
from devteam_worker import Fatal, RateLimited, Retryable, Task
from devteam_worker.handlers import Handler
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import run_pb2
from tests.fakes.mesh_server import PATIENCE, ScriptedMesh
from tests.rpc.worker.embedded import a_worker, plain, run_once, started
from tests.rpc.worker.rig import words


async def coroutine(task: Task) -> str:
    await task.emit("WHAT ")
    return "IS NEW?"


async def generator(task: Task) -> AsyncGenerator[str, None]:
    for word in ("WHAT ", "IS ", "NEW?"):
        yield word


@pytest.mark.parametrize("handler", [coroutine, plain, generator])
async def test_a_task_is_handled_by_code_of_ones_own(mesh: ScriptedMesh, handler: Handler) -> None:
    worker = a_worker(mesh)
    assert worker.on_task(handler) is handler
    async with started(worker):
        line = await run_once(mesh, handler)
        heard: list[str] = []
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            heard += [token.text for token in request.tokens.tokens]
        assert "".join(heard) == "WHAT IS NEW?"
        assert request.report == run_pb2.Report(
            task_id="t1",
            attempt=1,
            last_seq=len(heard),
            completion=run_pb2.Completion(
                provider="handler",
                model="my-own-model",
                stop_reason="end",
                usage=run_pb2.Usage(),
                time_to_first_token=Duration(),
            ),
        )
        line.ack_report()


@pytest.mark.parametrize(
    ("error", "report"),
    [
        (
            Retryable("the disk is full"),
            run_pb2.Report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_HANDLER, message="the disk is full", retryable=True
                )
            ),
        ),
        (
            Fatal("no such page"),
            run_pb2.Report(failure=run_pb2.Failure(reason=run_pb2.FAILURE_REASON_HANDLER, message="no such page")),
        ),
        (
            RateLimited("three a minute", retry_after=20),
            run_pb2.Report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_RATE_LIMITED,
                    message="three a minute",
                    retry_after=Duration(seconds=20),
                )
            ),
        ),
        (
            ValueError("secret"),
            run_pb2.Report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_HANDLER,
                    message="the worker's handler raised ValueError",
                    retryable=True,
                )
            ),
        ),
    ],
)
async def test_what_a_handler_raises_is_told_to_its_owner_and_reported(
    mesh: ScriptedMesh, error: Exception, report: run_pb2.Report
) -> None:
    worker = a_worker(mesh)
    errors: list[Exception] = []

    @worker.on_task
    async def handle(task: Task) -> str:
        raise error

    assert worker.on_error(errors.append) == errors.append
    async with started(worker):
        line = await run_once(mesh, handle)
        report.MergeFrom(run_pb2.Report(task_id="t1", attempt=1))
        assert (await line.hears()).report == report
        assert errors == [error]
        line.ack_report()


async def test_a_handler_that_blocks_its_thread_keeps_no_beat_waiting(mesh: ScriptedMesh) -> None:
    """A blocking call in a coroutine, the commonest mistake there is: Registry and Router do not notice."""
    mesh.registry.interval = 0.02
    worker, blocks, gate = a_worker(mesh), threading.Event(), threading.Event()

    @worker.on_task
    async def handle(task: Task) -> str:
        blocks.set()
        return "freed" if gate.wait(2 * PATIENCE) else "stuck"  # the point of the test: no `await`

    async with started(worker):
        line = await run_once(mesh, handle)
        assert await asyncio.to_thread(blocks.wait, PATIENCE)
        for _ in range(mesh.registry.beats.qsize() + 10):
            await mesh.registry.beaten()
        for _ in range(line.beats.qsize() + 10):
            await line.beaten()
        gate.set()
        assert await words(line, 1) == (1, ["freed"])
        assert (await line.hears()).report.WhichOneof("outcome") == "completion"
        line.ack_report()


async def test_a_cancelled_task_is_seen_by_its_handler(mesh: ScriptedMesh) -> None:
    worker, begun, seen = a_worker(mesh), threading.Event(), threading.Event()

    @worker.on_task
    def handle(task: Task) -> None:
        begun.set()
        while not task.cancelled:
            time.sleep(0.005)
        seen.set()

    async with started(worker):
        line = await run_once(mesh, handle)
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        line.cancel()
        assert (await line.hears()).report.WhichOneof("outcome") == "cancellation"
        assert await asyncio.to_thread(seen.wait, PATIENCE)
        line.ack_report()
