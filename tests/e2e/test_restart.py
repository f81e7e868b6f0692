"""Whatever is killed, what was accepted comes to its end."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.events import AttemptStarted, Event, TaskChanged, Tokens
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.specs import Generation, Step
from tests.e2e.programs import GRACE, PATIENCE, Mesh, up

pytestmark = pytest.mark.e2e

QUICK = Generation(options={"tokens": 20, "tokens_per_second": 1000})
SLOW = Generation(options={"tokens": 60, "tokens_per_second": 20})
# Long enough for a busy machine to kill somebody meanwhile.
SLOWER = Generation(options={"tokens": 160, "tokens_per_second": 20})


async def test_state_and_plans_survive_a_stop_and_then_a_sudden_death(tmp_path: Path) -> None:
    """SIGTERM, then SIGKILL, each in the middle of a plan's first step; the mesh goes on with what its folder holds."""
    with up(tmp_path, **GRACE) as mesh:
        async with connected(mesh) as client:
            before = await finished_task(client)
            stopped = await running_plan(client)
        mesh.stop()
    with up(tmp_path, **GRACE) as mesh:
        async with connected(mesh) as client:
            assert await client.get_task(before.id) == before
            await succeeded(client, stopped)
            killed = await running_plan(client)
        mesh.program.kill()
    with up(tmp_path, **GRACE) as mesh:
        async with connected(mesh) as client:
            assert await client.get_task(before.id) == before
            await succeeded(client, killed)
        mesh.stop()


async def test_a_killed_workers_task_succeeds_on_another_worker(mesh: Mesh, client: DevTeamClient) -> None:
    """The second attempt is announced with its reason, and only its text is the output."""
    with (
        mesh.worker("--id", "frail-1", "--queue", "frail", "--concurrency", "1") as first,
        mesh.worker("--id", "frail-2", "--queue", "frail", "--concurrency", "1") as second,
    ):
        programs = {"frail-1": first, "frail-2": second}
        task = await client.create_task("Survive", model="sim", queue="frail", generation=SLOWER)
        async with aclosing(client.watch_task(task.id)) as events:
            killed = (await first_words(client, events)).worker_id
            programs.pop(killed).kill()
            again, text = await retold(events)
    ended = await client.get_task(task.id)
    assert (again.attempt, again.reason) == (2, f"worker {killed} was lost")
    assert (ended.state, ended.attempt) == (TaskState.SUCCEEDED, 2)
    assert ended.worker_id in programs
    assert ended.output == text


def connected(mesh: Mesh) -> DevTeamClient:
    """A client of a mesh."""
    return DevTeamClient(mesh.url, api_key="", timeout=PATIENCE)


async def finished_task(client: DevTeamClient) -> Task:
    """A task that has ended, with its output."""
    task = await client.create_task("Be there later", model="sim", generation=QUICK)
    ended = await client.wait(task.id)
    assert isinstance(ended, Task)
    assert (ended.state, len(ended.output.split())) == (TaskState.SUCCEEDED, 20)
    return ended


async def running_plan(client: DevTeamClient) -> Plan:
    """A plan of two steps, the first of which has begun to speak and will not end soon."""
    steps = (
        Step(id="long", prompt="Take your time", model="sim", generation=SLOW),
        Step(id="after", prompt="Sum up: {{long.output}}", model="sim", generation=QUICK, depends_on=("long",)),
    )
    plan = await client.create_plan("interrupted", steps)
    async with aclosing(client.watch_plan(plan.id)) as events:
        await first_words(client, events)
    return plan


async def first_words(client: DevTeamClient, events: AsyncGenerator[Event, None]) -> Task:
    """The task that speaks first, as it is then."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, Tokens):
                return await client.get_task(event.task_id)
    raise AssertionError("it ended without a word")


async def retold(events: AsyncGenerator[Event, None]) -> tuple[AttemptStarted, str]:
    """The next attempt, and all that it says until the task's end."""
    started: AttemptStarted | None = None
    text = ""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            match event:
                case AttemptStarted():
                    started, text = event, ""
                case Tokens():
                    text += event.text
                case TaskChanged(task) if task.state.ended:
                    break
    assert started is not None
    return started, text


async def succeeded(client: DevTeamClient, plan: Plan) -> None:
    """Wait for the plan's good end, with whole outputs."""
    async with asyncio.timeout(PATIENCE):
        ended = await client.wait(plan.id)
    assert ended.state is PlanState.SUCCEEDED
    outputs = [(await client.get_task(task.id)).output for task in plan.tasks]
    assert [len(output.split()) for output in outputs] == [60, 20]


def test_a_local_worker_that_dies_is_missed(tmp_path: Path) -> None:
    with up(tmp_path) as mesh:
        (worker,) = (child for child in mesh.program.children() if "devteam_worker" in child.cmdline())
        worker.kill()
        words = f"start another: devteam-worker start --api-url {mesh.url} --queue default\n"
        deadline = time.monotonic() + PATIENCE
        while words not in (said := (tmp_path / "up.log").read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert "worker local ended with code -9, see " in said
        assert mesh.program.stop() == 0
        assert (tmp_path / "up.log").read_text().count("worker local ended") == 1


def test_a_local_worker_that_stops_with_its_mesh_is_not_missed(tmp_path: Path) -> None:
    with up(tmp_path) as mesh:
        assert mesh.program.stop() == 0
        assert "worker local ended" not in (tmp_path / "up.log").read_text()
