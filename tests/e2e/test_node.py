"""A client in another language, made of nothing but the contracts."""

import json
import shutil
import subprocess
from pathlib import Path

import google.api  # type: ignore[import-untyped]  # ships no types
import pytest

from devteam.client import DevTeamClient
from devteam.models import PlanState
from tests.e2e.programs import PATIENCE, REPOSITORY, Mesh, environment

pytestmark = pytest.mark.e2e

SOURCE = Path(__file__).with_name("node")
# Where the googleapis-common-protos wheel keeps google/api/annotations.proto.
COMMON_PROTOS = Path(google.api.__path__[0]).parents[1]


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages, outside of the repository."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on PATH")
    folder = shutil.copytree(SOURCE, tmp_path_factory.mktemp("node") / "client")
    cache = tmp_path_factory.mktemp("npm")
    # A machine without a network is to find that out soon.
    quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries", "0", "--cache", str(cache))
    try:
        installed = subprocess.run(
            ("npm", "ci", *quietly),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the client's packages within {PATIENCE:g} s")
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install the client's packages: {installed.stderr.strip()[-500:]}")
    return folder


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
