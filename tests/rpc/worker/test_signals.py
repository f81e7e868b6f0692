"""Signals to somebody's own program with a worker in it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devteam.v1 import registry_pb2
from tests.fakes.mesh_server import PATIENCE, Line, ScriptedMesh

PROGRAM = """
import asyncio, sys
from devteam_worker import DevTeamWorker

worker = DevTeamWorker(api_url=sys.argv[1], worker_id="w1", queues=["default"], concurrency=2)

@worker.on_task
async def handle(task):
    await task.emit("Hello")
    await asyncio.Event().wait()

asyncio.run(worker.start(handle_signals=sys.argv[2] == "ours"))
"""
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("DEVTEAM_", "OTEL_"))}


@asynccontextmanager
async def program(mesh: ScriptedMesh, whose: str) -> AsyncIterator[tuple[Process, Line]]:
    """The program with one run that does not end by itself; whoever handles signals is `whose`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, mesh.url, whose, env=ENVIRON, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(3 * PATIENCE):
            line = await mesh.router.attached()
            line.assign()
            assert [(await line.hears()).WhichOneof("item") for _ in range(2)] == ["accepted", "tokens"]
            yield process, line
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_what_runs_end_before_the_worker_leaves(mesh: ScriptedMesh, number: signal.Signals) -> None:
    async with program(mesh, "ours") as (process, line):
        process.send_signal(number)
        while (await mesh.registry.beaten()).availability == registry_pb2.AVAILABILITY_OPEN:
            pass
        line.cancel()
        assert (await line.hears()).report.WhichOneof("outcome") == "cancellation"
        line.ack_report()
        assert (await mesh.registry.left()).worker_id == "w1"
        assert await process.wait() == 0


async def test_a_second_signal_ends_the_program_at_once(mesh: ScriptedMesh) -> None:
    async with program(mesh, "ours") as (process, _):
        process.send_signal(signal.SIGTERM)
        while (await mesh.registry.beaten()).availability == registry_pb2.AVAILABILITY_OPEN:
            pass
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM


async def test_a_program_may_keep_signals_for_itself(mesh: ScriptedMesh) -> None:
    async with program(mesh, "its own") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
