"""A worker inside the test's own program."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from devteam_worker import DevTeamWorker, Task
from devteam_worker.handlers import Handler

from tests.fakes.mesh_server import PATIENCE, Line, ScriptedMesh


def a_worker(mesh: ScriptedMesh, **more: Any) -> DevTeamWorker:
    worker = DevTeamWorker(api_url=mesh.url, worker_id="w1", queues=["default"], concurrency=2, **more)
    worker.on_ready(lambda _: None)
    return worker


@asynccontextmanager
async def started(worker: DevTeamWorker) -> AsyncIterator["asyncio.Task[None]"]:
    """At work until the end of the body."""
    async with asyncio.timeout(2 * PATIENCE):
        working = asyncio.create_task(worker.start())
        try:
            yield working
        finally:
            worker.stop()
            await working


async def run_once(mesh: ScriptedMesh, handler: Handler) -> Line:
    """Have `handler` run one task; the line right after it was accepted."""
    line = await mesh.router.attached(beat=0.02)
    line.assign(model="my-own-model")
    assert (await line.hears()).WhichOneof("item") == "accepted"
    return line


def plain(task: Task) -> str:
    return task.prompt.upper()
