"""A client in another language, made of nothing but the contracts."""

import json
import subprocess
from pathlib import Path

import google.api  # type: ignore[import-untyped]  # ships no types
import pytest

from devteam.client import DevTeamClient
from devteam.models import PlanState
from tests.e2e.node_packages import with_packages
from tests.e2e.programs import PATIENCE, REPOSITORY, Mesh, environment

pytestmark = pytest.mark.e2e

SOURCE = Path(__file__).with_name("node")
# Where the googleapis-common-protos wheel keeps google/api/annotations.proto.
COMMON_PROTOS = Path(google.api.__path__[0]).parents[1]


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages, outside of the repository."""
    return with_packages(SOURCE, tmp_path_factory)


async def test_a_node_client_runs_the_research_pipeline(mesh: Mesh, client: DevTeamClient, node_client: Path) -> None:
    """CreatePlan, WatchPlan and GetTask, loaded from the .proto files: the words it heard are the outputs stored."""
    ran = pipeline(mesh, node_client)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    plan = await client.get_plan(told["plan_id"])
    tasks = [await client.get_task(task.id) for task in plan.tasks]
    stored = {
        task.step_id: {"worker": task.worker_id, "output": task.output, "streamed": task.output} for task in tasks
    }
    assert (told["state"], plan.state) == ("PLAN_STATE_SUCCEEDED", PlanState.SUCCEEDED)
    assert told["outputs"] == stored
    assert stored["writer"]["output"].startswith("*Simulated answer: no model was asked.*\n\n# Answer: bees\n")
    assert ran.stderr == "".join(task.output for task in tasks)


def pipeline(mesh: Mesh, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The client, to its end."""
    return subprocess.run(
        ("node", "client.mjs", mesh.address, str(REPOSITORY / "proto"), str(COMMON_PROTOS), "bees"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
        check=False,
    )
