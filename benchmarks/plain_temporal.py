"""The same shapes of work on Temporal alone: what a plan costs beyond this is ours.

A chain and a fan of activities that do nothing, on the dev server with the same settings and the same worker options.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_QUEUE = "plain"


@activity.defn
async def nothing() -> None:
    """Do nothing."""


@workflow.defn
class Waves:
    """Waves of activities: those of one wave at once, one wave after the other."""

    @workflow.run
    async def run(self, waves: list[int]) -> None:
        """Run every wave."""
        for width in waves:
            calls = [
                workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60)) for _ in range(width)
            ]
            await asyncio.gather(*calls)


@asynccontextmanager
async def plain_temporal() -> AsyncIterator[Client]:
    """A dev server and a worker for `Waves`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with temporal_dev_server(path, port=free_port(), ui_port=None, log=path / "log") as server:
            client = await Client.connect(server.address)
            async with Worker(
                client,
                task_queue=_QUEUE,
                workflows=[Waves],
                activities=[nothing],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_concurrent_activities=1000,
            ):
                yield client


async def seconds_for(client: Client, waves: list[int]) -> float:
    """How long one workflow of these waves takes."""
    started = time.perf_counter()
    await client.execute_workflow(Waves.run, waves, id=uuid4().hex, task_queue=_QUEUE, request_eager_start=True)
    return time.perf_counter() - started
