"""The four strategies on real workers: a box with a GPU, and two machines without one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.events import TaskChanged
from devteam.models import Task, TaskState
from devteam.specs import Generation, Placement, Requirements, Strategy
from tests.e2e.programs import PATIENCE, Mesh

pytestmark = pytest.mark.e2e

QUICK = Generation(options={"tokens": 5, "tokens_per_second": 1000})
# Keeps a slot until it is cancelled.
ENDLESS = Generation(options={"tokens": 100_000, "tokens_per_second": 20})

WORKERS = {
    "box": """
  queues: [{name: mixed, concurrency: 4, models: [haiku, sim]}]
  resources: {gpu: true, gpuModel: RTX 5080, ramGB: 64}
  weight: 4
  location: {region: eu, zone: eu-1, host: box}
""",
    "node": """
  queues: [{name: mixed, concurrency: 1, models: [haiku, sim]}]
  resources: {gpu: false, ramGB: 16}
  dataSources: [papers]
  location: {region: eu, zone: eu-1, host: node}
""",
    "laptop": """
  queues: [{name: mixed, concurrency: 1, models: [haiku, sim]}]
  resources: {gpu: false, ramGB: 8}
  location: {region: us, zone: us-1, host: laptop}
""",
}


@pytest.fixture
async def crowd(mesh: Mesh, client: DevTeamClient, tmp_path: Path) -> AsyncIterator[DevTeamClient]:
    """A client of a mesh with the three workers."""
    with ExitStack() as stack:
        for worker_id, words in WORKERS.items():
            file = tmp_path / f"{worker_id}.yaml"
            file.write_text(f"worker:\n  id: {worker_id}\n  provider: sim\n{words.strip(chr(10))}\n")
            stack.enter_context(mesh.worker("--config", str(file)))
        yield client


async def submit(client: DevTeamClient, generation: Generation = QUICK, **placement: object) -> str:
    wanted = Placement(**placement)  # type: ignore[arg-type]  # as Placement takes them
    created = await client.create_task("Go", model="haiku", queue="mixed", placement=wanted, generation=generation)
    return created.id


async def ran(client: DevTeamClient, task_id: str) -> Task:
    task = await client.wait(task_id)
    assert isinstance(task, Task)
    assert task.state is TaskState.SUCCEEDED
    return task


async def seen(client: DevTeamClient, task_id: str, condition: Callable[[Task], bool]) -> Task:
    """The task once it is so."""
    async with asyncio.timeout(PATIENCE), aclosing(client.watch_task(task_id)) as events:
        async for event in events:
            if isinstance(event, TaskChanged) and condition(event.task):
                return event.task
    raise AssertionError("it ended before that")


async def runs(client: DevTeamClient, task_id: str) -> Task:
    """The task once it has begun."""
    return await seen(client, task_id, lambda task: task.state is TaskState.RUNNING)


@asynccontextmanager
async def held(client: DevTeamClient, count: int, **placement: object) -> AsyncIterator[list[Task]]:
    """So many tasks, each submitted once the one before runs; all keep their slots until the block ends."""
    tasks = [await runs(client, await submit(client, ENDLESS, **placement)) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            await client.cancel_task(task.id)
        for task in tasks:
            await client.wait(task.id)


async def test_each_strategy_takes_whom_it_should(crowd: DevTeamClient) -> None:
    turns = [(await ran(crowd, await submit(crowd, strategy=Strategy.ROUND_ROBIN))).worker_id for _ in range(6)]
    assert Counter(turns) == {"box": 2, "node": 2, "laptop": 2}
    assert turns[:3] == turns[3:]

    # Five at a time: four slots of weight 4, and only then the others.
    async with held(crowd, 5, strategy=Strategy.LEAST_LOADED) as by_load:
        assert Counter(task.worker_id for task in by_load)["box"] == 4

    # The tightest fit first; a GPU idles until nobody else is free.
    async with held(crowd, 3, strategy=Strategy.CAPABILITY_MATCH) as by_fit:
        assert [task.worker_id for task in by_fit] == ["laptop", "node", "box"]
    wants_gpu = await submit(crowd, strategy=Strategy.CAPABILITY_MATCH, requirements=Requirements(gpu=True))
    assert (await ran(crowd, wants_gpu)).worker_id == "box"

    # The one that has the data; while it is busy for longer than the wait, the nearest other one.
    async with held(crowd, 1, strategy=Strategy.LOCALITY, near_data_source="papers") as [first]:
        second = await ran(crowd, await submit(crowd, strategy=Strategy.LOCALITY, near_data_source="papers"))
    assert [first.worker_id, second.worker_id] == ["node", "box"]
    assert first.placement_reason == "placed on node by locality because it has papers itself"
    assert second.placement_reason == "placed on box by locality because it is in the same zone as papers"


async def test_a_run_that_must_have_its_data_waits_for_whoever_has_it(crowd: DevTeamClient) -> None:
    """However long; and says where it could go before it is submitted."""
    placement = Placement(requirements=Requirements(data_sources=("papers",)))
    explanation = await crowd.explain_run(model="haiku", queue="mixed", placement=placement)
    assert {candidate.worker_id: candidate.rejected_because for candidate in explanation.candidates} == {
        "node": "",
        "box": "does not have papers at hand",
        "laptop": "does not have papers at hand",
    }
    async with held(crowd, 1, requirements=placement.requirements) as [busy]:
        waits = await submit(crowd, requirements=placement.requirements)
        await seen(crowd, waits, lambda task: "busy" in task.wait_reason)
    assert [busy.worker_id, (await ran(crowd, waits)).worker_id] == ["node", "node"]
