"""A worker in another language, made of nothing but the contracts."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from devteam.client import DevTeamClient
from devteam.models import TaskState
from devteam.specs import Generation
from devteam.testing.conformance.suite import SCENES
from tests.e2e.node_packages import with_packages
from tests.e2e.programs import BIN, PATIENCE, REPOSITORY, Mesh, Program, environment

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its packages, outside of the repository."""
    return with_packages(REPOSITORY / "examples" / "node-worker", tmp_path_factory) / "main.mjs"


async def test_the_node_worker_passes_the_conformance_suite(node_worker: Path) -> None:
    """Three of them share the scenes: most of the time is spent waiting."""
    names = [scene.name for scene in SCENES]
    async with asyncio.TaskGroup() as group:
        parts = [group.create_task(examined(node_worker, names[start::3])) for start in range(3)]
    assert sorted(scene for part in parts for scene in part.result()) == sorted(names)


async def examined(worker: Path, scenes: Sequence[str]) -> Sequence[str]:
    """The scenes that it passed; anything else is told."""
    only = [word for scene in scenes for word in ("--only", scene)]
    process = await asyncio.create_subprocess_exec(
        *(str(BIN / "devteam"), "conformance", "worker", "--address", "127.0.0.1:0", *only),
        *("-o", "json", "--", "node", str(worker)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(DEVTEAM_PROTO=str(REPOSITORY / "proto")),
    )
    async with asyncio.timeout(PATIENCE):
        told, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"call failed" not in said, said.decode()
    return [one["scene"] for one in json.loads(told) if one["outcome"] == "passed"]


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
