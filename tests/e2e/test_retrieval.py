"""A worker with documents, as the example has it, and steps that want them."""

from dataclasses import replace

import pytest
from devteam_cli.plan_file import read_plan

from devteam.client import DevTeamClient
from devteam.models import PlanState, Task
from devteam.specs import Generation, Placement, Step
from tests.e2e.programs import REPOSITORY, Mesh

pytestmark = pytest.mark.e2e

EXAMPLE = REPOSITORY / "examples" / "research-with-documents"
QUICK = Generation(options={"tokens": 5, "tokens_per_second": 1000})


async def ran(client: DevTeamClient, *steps: Step) -> dict[str, Task]:
    """The tasks of a plan that has succeeded, with their outputs, by their steps."""
    quick = [replace(step, generation=QUICK) for step in steps]
    plan = await client.create_plan("retrieval", quick, input={"topic": "tides"})
    async for _ in client.watch_plan(plan.id):
        pass
    plan = await client.get_plan(plan.id)
    assert plan.state is PlanState.SUCCEEDED
    return {task.step_id: await client.get_task(task.id) for task in plan.tasks}


async def test_a_step_that_is_near_documents_and_uses_them_runs_where_they_are(
    mesh: Mesh, client: DevTeamClient
) -> None:
    """Beside a worker that serves the same queue and has neither the data nor the tools."""
    written = read_plan(str(EXAMPLE / "plan.yaml"))
    researcher = written.steps[0]
    near_alone = replace(researcher, id="near", tools=())
    tools_alone = replace(researcher, id="tools", placement=Placement())
    with mesh.worker("--config", str(EXAMPLE / "worker.yaml"), "--provider", "sim"):
        worker = await client.get_worker("librarian")
        tasks = await ran(client, *written.steps, tools_alone)
        # By itself: whoever is near to documents, and needs none, waits some seconds for a worker that is full.
        tasks |= await ran(client, near_alone)
    assert worker.data_sources == ("library",)
    assert set(worker.tools) >= {"library", "library.search", "library.read", "library.list"}
    because = "placed on librarian by locality because it has library itself"
    assert [tasks[step].placement_reason for step in ("researcher", "near")] == [because, because]
    assert tasks["researcher"].output.startswith("[documents:library] ")
    assert tasks["tools"].worker_id == "librarian"
    assert {task.worker_id for step, task in tasks.items() if step in {"analyst", "writer"}}.isdisjoint({"librarian"})
