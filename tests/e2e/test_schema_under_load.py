"""The schema goes down and up again while Planners take tasks: nothing is lost, and nothing is refused for good."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from devteam_planner.store.tables import MIGRATIONS

from devteam.mesh import schema
from devteam.mesh.errors import Unavailable
from devteam.mesh.status import from_rpc
from devteam.v1 import planner_pb2 as pb
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.e2e.programs import devteam, environment
from tests.e2e.services import service

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.planner_pb2_grpc import PlannerServiceAsyncStub

pytestmark = pytest.mark.e2e

# Down to where a column is missing that every write sets.
NEWEST, PREVIOUS = schema.newest(MIGRATIONS), "0004"
CALLERS = 4


@dataclass
class Load:
    """Clients that create one task after the other, each until it is accepted."""

    stubs: "list[PlannerServiceAsyncStub]"
    created: dict[str, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, caller: int) -> None:
        number = 0
        while True:
            number += 1
            await self._create(self.stubs[caller % len(self.stubs)], f"{caller}-{number}")

    async def until(self, created: int = 0, refused: int = 0) -> None:
        """Wait for so many more."""
        wanted = len(self.created) + created, self.refusals.total() + refused
        while (len(self.created), self.refusals.total()) < wanted:
            self.more.clear()
            await self.more.wait()

    async def _create(self, stub: "PlannerServiceAsyncStub", name: str) -> None:
        request = pb.CreateTaskRequest(request_id=name, task=pb.TaskSpec(prompt=f"prompt {name}", model="sim"))
        while True:
            try:
                answer = await stub.CreateTask(request, timeout=30)
            except grpc.aio.AioRpcError as refused:
                await self._refused(refused)
            else:
                self.created[answer.task.task_id] = f"prompt {name}"
                self.more.set()
                return

    async def _refused(self, error: grpc.aio.AioRpcError) -> None:
        said = from_rpc(error)
        assert isinstance(said, Unavailable), f"for good: {said!r}"
        assert said.retry_after > 0
        self.refusals[said.reason] += 1
        self.more.set()
        await asyncio.sleep(0.02)


async def kept(stub: "PlannerServiceAsyncStub", task_id: str) -> str:
    """The prompt of a task. A read, too, may be told to try again: by a connection that knows the schema before."""
    while True:
        try:
            return (await stub.GetTask(pb.GetTaskRequest(task_id=task_id))).task.spec.prompt
        except grpc.aio.AioRpcError as refused:
            said = from_rpc(refused)
            assert isinstance(said, Unavailable), f"for good: {said!r}"
            await asyncio.sleep(said.retry_after)


async def migrated(url: str, revision: str) -> None:
    """The command, as an operator runs it beside what serves."""
    arguments = ("migrate", "--database", url, "--schema", "planner", "--to", revision)
    done = await asyncio.to_thread(devteam, *arguments, env=environment())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("backend", "planners"), [("sqlite_url", 1), ("postgres_url", 2)])
async def test_a_schema_goes_down_and_up_under_load(
    backend: str, planners: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue(backend))
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        running = [
            await stack.enter_async_context(service("planner", tmp_path, database_url=url)) for _ in range(planners)
        ]
        load = Load([PlannerServiceStub(planner.channel) for planner in running])
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(load.run(number)) for number in range(CALLERS)]
            await load.until(created=20)
            await migrated(url, PREVIOUS)
            await load.until(refused=4)
            await migrated(url, NEWEST)
            await load.until(created=40)
            for caller in callers:
                caller.cancel()
        assert load.refusals["SCHEMA_CHANGING"] >= CALLERS
        assert set(load.refusals) <= {"SCHEMA_CHANGING", "STORAGE_UNAVAILABLE"}
        for task_id, prompt in load.created.items():
            assert await kept(load.stubs[0], task_id) == prompt
        assert len(set(load.created.values())) == len(load.created), "each of them once"
        for planner in running:
            assert planner.program.stop() == 0
