"""Those who look on at all tasks, while time passes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from devteam.v1 import planner_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.rpc.planner.mesh import Mesh

Told = dict[str, pb.Task]


async def passing(clock: FakeClock) -> None:
    """Let time pass, a tenth of a second after the other. Never returns."""
    while True:
        clock.advance(0.1)
        await asyncio.sleep(0.002)


@asynccontextmanager
async def time_passes(clock: FakeClock) -> AsyncIterator[None]:
    """Time passes during the block, some 50 times as fast as on the wall."""
    passes = asyncio.create_task(passing(clock))
    try:
        yield
    finally:
        passes.cancel()


class Onlooker:
    """A watch, and what it has told so far: each task as it was told last, and each telling in order."""

    def __init__(self, mesh: Mesh, **asked: Any) -> None:
        self._call = mesh.stub.WatchTasks(pb.WatchTasksRequest(**asked))
        self._responses = aiter(self._call)
        self.current = False
        self.tasks: Told = {}
        self.told: list[tuple[str, str]] = []
        self.counts: list[tuple[str, int, int]] = []
        self.sizes: list[int] = []

    async def until(self, enough: Callable[[], bool]) -> None:
        """Read on until it is enough."""
        async with asyncio.timeout(60):
            while not enough():
                self._take(await anext(self._responses))

    async def until_current(self) -> None:
        await self.until(lambda: self.current)

    async def until_state(self, task_id: str, state: str) -> None:
        await self.until(lambda: self.state(task_id) == state)

    def state(self, task_id: str) -> str:
        """The task's state as it was told last; empty for one that was not told of."""
        return _state(self.tasks[task_id]) if task_id in self.tasks else ""

    def leave(self) -> None:
        self._call.cancel()

    def _take(self, response: pb.WatchTasksResponse) -> None:
        self.current = response.current
        self.sizes.append(len(response.tasks))
        for task in response.tasks:
            self.tasks[task.task_id] = task
            self.told.append((task.task_id, _state(task)))
        self.counts += [(count.task_id, count.attempt, count.tokens) for count in response.progress]


def _state(task: pb.Task) -> str:
    return pb.TaskState.Name(task.state).removeprefix("TASK_STATE_")
