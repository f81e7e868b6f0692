"""Two Routers, forty workers linked to both: one Router dies."""

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server

from devteam.client import DevTeamClient
from devteam.events import AttemptStarted
from devteam.models import Task, TaskState
from tests.e2e.programs import PATIENCE, REPOSITORY, Program, environment
from tests.e2e.services import Service, service

pytestmark = pytest.mark.e2e

WORKERS, SLOTS = 40, 1
# Words a task, at 20 a second: long enough for a Router to die in their middle.
WORDS = 120


@dataclass(slots=True)
class Pair:
    """A mesh with two Routers, and the notes of its workers: when, task, attempt, worker, runs in its hand."""

    client: DevTeamClient
    crew: Program
    routers: list[Service]
    notes: Path

    def begun(self) -> list[tuple[float, str, int, str, int]]:
        """What was begun so far."""
        lines = [line.split() for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [(float(at), task, int(attempt), worker, int(runs)) for at, task, attempt, worker, runs in lines]


@asynccontextmanager
async def two_routers(folder: Path) -> AsyncIterator[Pair]:
    """Everything as a process of its own; ready once every worker has registered."""
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(
            temporal_dev_server(folder, port=free_port(), ui_port=None, log=folder / "temporal.log")
        )
        registry = await stack.enter_async_context(service("registry", folder))
        routers = [await stack.enter_async_context(_router(folder, registry)) for _ in range(2)]
        addresses = ",".join(router.url for router in routers)
        planner = await stack.enter_async_context(
            service("planner", folder, router_address=addresses, temporal_address=temporal.address)
        )
        notes = folder / "begun"
        command = (sys.executable, "-m", "tests.e2e.crew", registry.url, str(WORKERS), str(SLOTS), str(notes))
        env = environment(PYTHONPATH=os.pathsep.join([str(REPOSITORY), *filter(None, [os.getenv("PYTHONPATH")])]))
        crew = stack.enter_context(Program(*command, log=folder / "crew.log", env=env))
        await asyncio.to_thread(crew.line, "^Ready$")
        client = await stack.enter_async_context(DevTeamClient(planner.url, api_key="", timeout=PATIENCE))
        yield Pair(client, crew, routers, notes)


def _router(folder: Path, registry: Service) -> AbstractAsyncContextManager[Service]:
    port = free_port()
    # A busy machine needs more than a few seconds to bring forty workers' runs to the other Router.
    settings = {
        "registry_address": registry.url,
        "advertised_address": f"http://127.0.0.1:{port}",
        "link_grace_s": "30",
    }
    return service("router", folder, port=port, **settings)


async def why_again(client: DevTeamClient, task_id: str) -> list[str]:
    """Why its later attempts were made."""
    async with aclosing(client.watch_task(task_id)) as events:
        started = [event async for event in events if isinstance(event, AttemptStarted)]
    return [event.reason for event in started if event.attempt > 1]


async def test_no_task_is_lost_and_the_other_router_takes_over(tmp_path: Path) -> None:
    """Every task runs once: what ran goes on through the other Router, what waited is placed by it."""
    async with two_routers(tmp_path) as mesh:
        create = partial(mesh.client.create_task, str(WORDS), model="sim", queue="crew")
        tasks = await asyncio.gather(*(create() for _ in range(2 * WORKERS)))
        for _ in range(WORKERS):
            await asyncio.to_thread(mesh.crew.line, "^Begun$")
        mesh.routers[0].program.kill()
        killed_at, killed = time.monotonic(), datetime.now(UTC)
        ended = [task for created in tasks if isinstance(task := await mesh.client.wait(created.id), Task)]
        begun = mesh.begun()
        again = [why for task in ended if task.attempt > 1 for why in await why_again(mesh.client, task.id)]
    assert Counter(task.state for task in ended) == {TaskState.SUCCEEDED: 2 * WORKERS}
    # On a busy machine slots may come free before the Router dies: between giving one away and telling its worker.
    assert [why for why in again if not re.fullmatch(r"its router was lost before worker crew-\d\d began", why)] == []
    expected = "".join(f"word-{word} " for word in range(1, WORDS + 1))
    assert {task.output for task in ended} == {expected}
    # Each task was begun by one worker, once, and no worker ever had more in hand than it has slots.
    assert Counter(Counter(task for _, task, *_ in begun).values()) == {1: 2 * WORKERS}
    assert max(runs for *_, runs in begun) <= SLOTS
    # The tasks that waited at the dead Router start at the other one as slots come free: the first at once. A busy
    # machine takes longer over the words before that.
    freed = min(task.ended_at for task in ended if task.ended_at and task.ended_at > killed)
    assert min(at for at, *_ in begun if at > killed_at) - killed_at < (freed - killed).total_seconds() + 4
