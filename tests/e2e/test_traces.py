"""Traces of a mesh whose workers are anywhere: told to the mesh, kept by it, shown by `devteam trace`."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.programs import BIN, PATIENCE, Mesh, Program, environment, up
from tests.fakes.stored_spans import all_stored_spans

pytestmark = pytest.mark.e2e

# A program of a user's, which knows nothing of traces.
PROGRAM = """
import asyncio
from devteam_worker import DevTeamWorker

worker = DevTeamWorker(worker_id="program", queues=["program"])

@worker.on_task
async def answer(task):
    return "done"

@worker.on_ready
def ready(_):
    print("Ready", flush=True)

asyncio.run(worker.start())
"""


def run_task(mesh: Mesh, *options: str) -> str:
    """The id of a task that has succeeded."""
    ran = mesh.run("-o", "json", "task", "run", *options, "Say hello")
    assert ran.returncode == 0, ran.stderr
    return str(json.loads(ran.stdout)["id"])


def shown(mesh: Mesh, task_id: str, *spans: str) -> str:
    """What `devteam trace` shows of a task once all of these spans are there: every process writes its own down."""
    give_up_at = time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        told = mesh.run("trace", task_id)
        if told.returncode == 0 and all(span in told.stdout for span in spans):
            return told.stdout
        time.sleep(0.2)
    raise AssertionError(f"not all of {spans} of {task_id}: {told.stdout}{told.stderr}")


def test_a_worker_elsewhere_tells_the_mesh_of_its_runs(mesh: Mesh) -> None:
    """It has no file and no endpoint: where the mesh is, it knows anyway."""
    with mesh.worker("--id", "elsewhere", "--queue", "elsewhere", "--provider", "sim"):
        task_id = run_task(mesh, "--model", "sim", "--queue", "elsewhere")
        told = shown(mesh, task_id, "chat sim", "run task", "RouterService/Dispatch")
    [run] = [line for line in told.splitlines() if "run task" in line]
    assert "devteam-worker" in run
    spans = [span for span in all_stored_spans(mesh.traces) if span.attributes.get("devteam.task.id") == task_id]
    assert [span.attributes["service.instance.id"] for span in spans if span.name == "run task"] == ["elsewhere"]


def test_a_program_with_a_worker_in_it_does_so_too(mesh: Mesh, tmp_path: Path) -> None:
    env = environment(DEVTEAM_API_URL=mesh.url, DEVTEAM_DATA=str(tmp_path))
    with Program(str(BIN / "python"), "-c", PROGRAM, log=tmp_path / "program.log", env=env) as program:
        program.line("^Ready$")
        task_id = run_task(mesh, "--model", "sim", "--queue", "program")
        assert "run task" in shown(mesh, task_id, "run task")
        assert program.stop() == 0


def test_a_worker_whose_mesh_is_gone_stops_as_fast_as_ever(tmp_path: Path) -> None:
    """With a span in hand that nobody takes any more."""
    with up(tmp_path) as mesh, mesh.worker("--id", "orphan", "--queue", "orphan", "--provider", "sim") as worker:
        run_task(mesh, "--model", "sim", "--queue", "orphan")
        mesh.program.kill()
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 15
