"""One watch of the mesh for all who look, and none while nobody does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from devteam_cli.page.board import Board
from devteam_cli.page.feed import Feed

from devteam.errors import Unavailable
from devteam.mesh.tasks import background
from devteam.models import QueueInfo, Task, TaskState, Throttle, WorkerInfo, Workers
from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
from devteam.specs import TaskSpec
from devteam.standing import ServiceStatus
from tests.fakes.clock import FakeClock

_Seen = TypeVar("_Seen")


def task(state: TaskState) -> Task:
    return Task(id="t", plan_id="p", step_id="s", state=state, spec=TaskSpec(prompt="secret", model="sonnet"))


class ScriptedMesh:
    """Says what a test lets it say; an exception among that is raised."""

    def __init__(self) -> None:
        self.workers: asyncio.Queue[WorkersSeen | Exception] = asyncio.Queue()
        self.tasks: asyncio.Queue[TasksSeen | Exception] = asyncio.Queue()
        self.queues = [QueueInfo(name="default", waiting=3)]
        self.watches = 0
        self.watching = 0

    async def watch_workers(self) -> AsyncGenerator[WorkersSeen, None]:
        self.watches += 1
        self.watching += 1
        try:
            while True:
                yield _said(await self.workers.get())
        finally:
            self.watching -= 1

    async def watch_tasks(
        self, *, since: datetime | None = None, progress: bool = False
    ) -> AsyncGenerator[TasksSeen, None]:
        assert progress
        while True:
            yield _said(await self.tasks.get())

    async def list_queues(self) -> list[QueueInfo]:
        return self.queues

    async def list_throttles(self) -> list[Throttle]:
        return []

    async def get_workers(self) -> Workers:
        return Workers(notice="deaths are frozen")

    async def get_status(self) -> tuple[ServiceStatus, ...]:
        return (ServiceStatus(name="registry", problem="not now"),)


def _said(item: _Seen | Exception) -> _Seen:
    if isinstance(item, Exception):
        raise item
    return item


@asynccontextmanager
async def feeding(mesh: ScriptedMesh, clock: FakeClock) -> AsyncIterator[Feed]:
    feed = Feed(mesh, Board(), clock)
    async with background(feed.run):
        yield feed


async def until_shown(board: Board, kind: str, thing_id: str) -> None:
    """Wait until something is on the board."""
    async with asyncio.timeout(5):
        while board.get(kind, thing_id) is None:
            await board.changed(board.since(0).version)


async def until_gone(board: Board, kind: str, thing_id: str) -> None:
    """Wait until something is no longer on the board."""
    async with asyncio.timeout(5):
        while board.get(kind, thing_id) is not None:
            await board.changed(board.since(0).version)


async def settled() -> None:
    """Let whatever can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_is_watched_until_somebody_looks_nor_long_after_the_last_has_left(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        await settled()
        assert mesh.watches == 0
        with feed.viewer(), feed.viewer():
            await settled()
            assert mesh.watches == 1
        await settled()
        assert mesh.watching == 1
        clock.advance(6)
        await settled()
        assert mesh.watching == 0
        assert feed.board.since(0).put == {}


async def test_a_page_that_is_loaded_again_is_not_gone(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer():
            await settled()
        await settled()
        with feed.viewer():
            clock.advance(6)
            await settled()
            assert (mesh.watches, mesh.watching) == (1, 1)


async def test_it_is_whole_once_every_source_has_told_all_there_is(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.workers.put_nowait(WorkersSeen((WorkerInfo(id="w1"),), current=True))
            mesh.tasks.put_nowait(TasksSeen((task(TaskState.RUNNING),), current=False))
            await until_shown(board, "tasks", "t")
            await settled()
            assert board.get("mesh", "whole") is None
            mesh.tasks.put_nowait(TasksSeen(current=True))
            await until_shown(board, "mesh", "whole")
            assert board.ids("workers") == {"w1"}
            assert board.ids("queues") == {"default"}
            assert board.get("mesh", "notice") == {"text": "deaths are frozen"}
            assert board.ids("services") == {"registry"}


async def test_prompts_do_not_get_on_the_board(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.tasks.put_nowait(TasksSeen((task(TaskState.RUNNING),), current=True))
            await until_shown(board, "tasks", "t")
            assert "secret" not in str(board.since(0))


async def test_tokens_have_a_rate_until_their_task_ends(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.tasks.put_nowait(TasksSeen((task(TaskState.RUNNING),), True, (TaskProgress("t", 1, 100),)))
            await until_shown(board, "pace", "t")
            clock.advance(1)
            mesh.tasks.put_nowait(TasksSeen((), True, (TaskProgress("t", 1, 140),)))
            await settled()
            pace = board.get("pace", "t")
            assert pace is not None
            assert (pace["tokens"], pace["rate"]) == (140, 40)
            mesh.tasks.put_nowait(TasksSeen((task(TaskState.SUCCEEDED),), True))
            await until_gone(board, "pace", "t")


async def test_who_left_or_ended_unseen_is_shown_no_longer(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.workers.put_nowait(WorkersSeen((WorkerInfo(id="w1"),), current=True))
            mesh.tasks.put_nowait(TasksSeen((task(TaskState.RUNNING),), current=True))
            await until_shown(board, "workers", "w1")
            await until_shown(board, "tasks", "t")
            mesh.workers.put_nowait(WorkersSeen(removed=("w1",), current=True))
            mesh.tasks.put_nowait(TasksSeen(removed=("t",), current=True))
            mesh.queues = []
            clock.advance(1)
            await until_gone(board, "workers", "w1")
            await until_gone(board, "tasks", "t")
            await until_gone(board, "queues", "default")


async def test_trouble_is_told_until_it_is_over(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.workers.put_nowait(WorkersSeen(interrupted="connection refused"))
            await until_shown(board, "trouble", "workers")
            assert board.get("trouble", "workers") == {"error": "connection refused", "advice": ""}
            mesh.workers.put_nowait(WorkersSeen(current=True))
            await until_gone(board, "trouble", "workers")


async def test_a_watch_that_fails_is_begun_again(clock: FakeClock) -> None:
    mesh = ScriptedMesh()
    async with feeding(mesh, clock) as feed:
        with feed.viewer() as board:
            mesh.workers.put_nowait(Unavailable("cannot reach the mesh", reason="UNREACHABLE"))
            await until_shown(board, "trouble", "workers")
            assert "devteam up" in str(board.get("trouble", "workers"))
            mesh.workers.put_nowait(WorkersSeen((WorkerInfo(id="w1"),), current=True))
            clock.advance(1)
            await until_shown(board, "workers", "w1")
            assert (mesh.watches, board.get("trouble", "workers")) == (2, None)
