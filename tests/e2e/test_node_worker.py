"""A worker in another language, made of nothing but the contracts."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.models import TaskState
from devteam.specs import Generation
from tests.e2e.node_packages import with_packages
from tests.e2e.programs import BIN, PATIENCE, REPOSITORY, Mesh, Program, environment

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its packages, outside of the repository."""
    return with_packages(REPOSITORY / "examples" / "node-worker", tmp_path_factory) / "main.mjs"


def test_the_node_worker_passes_the_conformance_suite(node_worker: Path) -> None:
    command = ("conformance", "worker", "--address", "127.0.0.1:0", "-o", "json", "--", "node", str(node_worker))
    ran = subprocess.run(
        (str(BIN / "devteam"), *command),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(DEVTEAM_PROTO=str(REPOSITORY / "proto")),
        check=False,
    )
    verdicts = json.loads(ran.stdout or "[]")
    assert [one for one in verdicts if one["outcome"] != "passed"] == [], ran.stderr
    assert (ran.returncode, len(verdicts) > 30) == (0, True), ran.stderr


async def test_the_node_worker_runs_tasks_of_a_real_mesh(
    mesh: Mesh, client: DevTeamClient, node_worker: Path, tmp_path: Path
) -> None:
    told = {"DEVTEAM_API_URL": mesh.url, "DEVTEAM_QUEUE": "node", "DEVTEAM_WORKER_ID": "node-1"}
    env = environment(DEVTEAM_PROTO=str(REPOSITORY / "proto"), **told)
    with Program("node", str(node_worker), log=tmp_path / "node.log", env=env) as worker:
        worker.line("Ready")
        said = Generation(options={"tokens": 3, "tokens_per_second": 0})
        task = await client.create_task("Grüße an alle", model="sim", queue="node", generation=said)
        async with asyncio.timeout(PATIENCE):
            await client.wait(task.id)
        done = await client.get_task(task.id)
        assert (done.state, done.worker_id, done.output) == (TaskState.SUCCEEDED, "node-1", "Grüße an alle ")
