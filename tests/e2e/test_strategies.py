"""The four strategies on real workers: a box with a GPU, and two machines without one."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.models import Task, TaskState
from devteam.specs import Generation, Placement, Requirements, Strategy
from tests.e2e.programs import Mesh

pytestmark = pytest.mark.e2e

QUICK = Generation(options={"tokens": 5, "tokens_per_second": 1000})
# Long enough to keep a slot while others are placed; and longer than anybody waits for a near worker.
LONG = Generation(options={"tokens": 40, "tokens_per_second": 20})
LONGER = Generation(options={"tokens": 100, "tokens_per_second": 20})

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


async def test_each_strategy_takes_whom_it_should(crowd: DevTeamClient) -> None:
    turns = [(await ran(crowd, await submit(crowd, strategy=Strategy.ROUND_ROBIN))).worker_id for _ in range(6)]
    assert Counter(turns) == {"box": 2, "node": 2, "laptop": 2}
    assert turns[:3] == turns[3:]

    # Five at a time: four slots of weight 4, and only then the others.
    long = [await submit(crowd, LONG, strategy=Strategy.LEAST_LOADED) for _ in range(5)]
    by_load = Counter([(await ran(crowd, task_id)).worker_id for task_id in long])
    assert by_load["box"] == 4

    # The tightest fit first; a GPU idles until nobody else is free.
    long = [await submit(crowd, LONG, strategy=Strategy.CAPABILITY_MATCH) for _ in range(3)]
    by_fit = [(await ran(crowd, task_id)).worker_id for task_id in long]
    assert by_fit == ["laptop", "node", "box"]
    wants_gpu = await submit(crowd, strategy=Strategy.CAPABILITY_MATCH, requirements=Requirements(gpu=True))
    assert (await ran(crowd, wants_gpu)).worker_id == "box"

    # The one that has the data; while it is busy for longer than the wait, the nearest other one.
    near = [
        await submit(crowd, generation, strategy=Strategy.LOCALITY, near_data_source="papers")
        for generation in (LONGER, QUICK)
    ]
    placed = [await ran(crowd, task_id) for task_id in near]
    assert [task.worker_id for task in placed] == ["node", "box"]
    assert placed[0].placement_reason == "placed on node by locality because it has papers itself"
    assert placed[1].placement_reason == "placed on box by locality because it is in the same zone as papers"


async def test_a_run_that_must_have_its_data_waits_for_whoever_has_it(crowd: DevTeamClient) -> None:
    """However long; and says where it could go before it is submitted."""
    placement = Placement(requirements=Requirements(data_sources=("papers",)))
    explanation = await crowd.explain_run(model="haiku", queue="mixed", placement=placement)
    assert {candidate.worker_id: candidate.rejected_because for candidate in explanation.candidates} == {
        "node": "",
        "box": "does not have papers at hand",
        "laptop": "does not have papers at hand",
    }
    busy = await submit(crowd, LONG, requirements=placement.requirements)
    waits = await submit(crowd, requirements=placement.requirements)
    assert [(await ran(crowd, task_id)).worker_id for task_id in (busy, waits)] == ["node", "node"]
