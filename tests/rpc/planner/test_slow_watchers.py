"""Watchers who stop reading hold nobody back, and cost next to nothing."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from devteam_planner.events import TokensRead

from devteam.mesh import options
from devteam.v1 import planner_pb2 as pb
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch
from tests.rpc.planner.mesh import Mesh, running

# A large batch: as many tokens as it may have, of 64 bytes.
WORDS = ["sixteen letters " * 4] * 256
BATCH_BYTES = len(a_batch(1, *WORDS).payload)
# What one watcher holds (see `watch`), in batches: the bytes that it may hold, and the batch that goes over.
HELD_BATCHES = 64 * 1024 // BATCH_BYTES + 1
STREAMS_A_CONNECTION = 20
MIB = 1024 * 1024


@asynccontextmanager
async def stuck(mesh: Mesh, task_id: str, count: int) -> AsyncIterator[None]:
    """So many watchers of a task, each of whom has heard how it stands and reads no further."""
    own = (*options.CLIENT, ("grpc.use_local_subchannel_pool", 1))
    async with AsyncExitStack() as stack:
        calls: list[Any] = []
        while len(calls) < count:
            address = f"127.0.0.1:{mesh.server.port}"
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, own))
            stub, more = PlannerServiceStub(channel), min(STREAMS_A_CONNECTION, count - len(calls))
            calls += [stub.WatchTask(pb.WatchTaskRequest(task_id=task_id)) for _ in range(more)]
        for call in calls:
            await call.read()
        yield
        for call in calls:
            call.cancel()


async def started(mesh: Mesh) -> str:
    """A task that a worker has."""
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt="speak", model="sim"))
    task_id = (await mesh.stub.CreateTask(request)).task.task_id
    await mesh.begin(task_id)
    return task_id


async def speak(mesh: Mesh, task_id: str, batches: int) -> None:
    """Store that many batches, as a driver does: the next comes once the last is stored."""
    for number in range(batches):
        await mesh.say(task_id, a_batch(number * len(WORDS) + 1, *WORDS))


async def read_to_its_end(mesh: Mesh, task_id: str) -> int:
    """How many tokens a watcher who reads is told."""
    told = 0
    async for event in mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id)):
        told += len(event.tokens.tokens)
    return told


def held_batches() -> int:
    """Batches of tokens that some watcher in this process has read and not told."""
    gc.collect()
    return sum(isinstance(thing, TokensRead) for thing in gc.get_objects())


@pytest.mark.timeout(600)
async def test_a_task_ends_and_is_read_to_its_end_while_others_read_nothing(mesh: Mesh) -> None:
    """Whatever was said, before they came or after, each of those holds no more than its few kilobytes."""
    task_id, watchers, batches = await started(mesh), 20, 200
    async with stuck(mesh, task_id, watchers // 2):
        reading = asyncio.create_task(read_to_its_end(mesh, task_id))
        await speak(mesh, task_id, batches)
        async with stuck(mesh, task_id, watchers // 2):
            await mesh.succeed(task_id, "spoken")
            assert await reading == batches * len(WORDS)
            assert await read_to_its_end(mesh, task_id) == batches * len(WORDS)
            held = held_batches()
        assert 0 < held <= watchers * HELD_BATCHES


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_hundred_of_them_take_less_than_fifty_mebibytes(sqlite_url: str, clock: FakeClock) -> None:
    """Both ends of their connections are in this process, and counted."""
    process, batches = psutil.Process(), 2_000
    async with running(clock, sqlite_url) as mesh:
        alone = await started(mesh)
        await speak(mesh, alone, batches)
        await mesh.succeed(alone, "spoken")
        assert await read_to_its_end(mesh, alone) == batches * len(WORDS)
        before = process.memory_info().rss
        watched = await started(mesh)
        async with stuck(mesh, watched, 200):
            await speak(mesh, watched, batches)
            grown = process.memory_info().rss - before
        assert grown < 50 * MIB, f"grew by {grown / MIB:.1f} MiB"
