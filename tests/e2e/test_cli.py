"""The `devteam` command against a mesh, as a script calls it: data on stdout, words on stderr, and an exit code."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.programs import REPOSITORY, Mesh, devteam, environment

pytestmark = pytest.mark.e2e

SIM = ("--model", "sim", "--option", "tokens=8", "--option", "tokens_per_second=1000")

PLAN = """
name: two-steps
generation: {options: {tokens: 8, tokens_per_second: 1000}}
input: {topic: bees}
steps:
  - {id: first, prompt: "Look at {{input.topic}}", model: sim}
  - {id: second, prompt: "Say it shorter: {{first.output}}", model: sim, dependsOn: [first]}
"""

BAD_PLAN = """
name: broken
steps:
  - {id: first, prompt: "Hello", model: sim, queu: default}
  - {id: second, model: sim, dependsOn: first}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """A plan of two short steps."""
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def test_task_run_prints_the_answer_and_nothing_else_on_stdout(mesh: Mesh) -> None:
    ran = mesh.run("task", "run", *SIM, "Say hello")
    assert (ran.stdout, ran.returncode) == ("*Simulated answer: no model was asked.*\n\n# Answer:\n", 0)
    assert ran.stderr.startswith("succeeded · worker local · sim · 2 tokens in, 8 out")


def test_task_run_as_json_is_the_finished_task(mesh: Mesh) -> None:
    ran = mesh.run("-o", "json", "task", "run", *SIM, "Say hello")
    task = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert (task["state"], task["worker_id"], task["attempt"]) == ("succeeded", "local", 1)
    assert task["output"] == "*Simulated answer: no model was asked.*\n\n# Answer:"


def test_task_run_as_lines_of_json_tells_every_event(mesh: Mesh) -> None:
    ran = mesh.run("-o", "jsonl", "task", "run", *SIM, "Say hello")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    said = "".join(token["text"] for event in events if event["event"] == "tokens" for token in event["tokens"])
    assert said == "*Simulated answer: no model was asked.*\n\n# Answer:"
    assert (events[-1]["event"], events[-1]["task"]["state"]) == ("task_changed", "succeeded")


def test_a_failed_task_exits_1_and_says_why(mesh: Mesh) -> None:
    ran = mesh.run("task", "run", *SIM, "--option", "fail=invalid_request", "Say hello")
    assert (ran.stdout, ran.returncode) == ("", 1)
    assert "error: the task failed: invalid_request: The simulated provider refused the request." in ran.stderr


@pytest.mark.parametrize("noun", ["task", "plan"])
def test_an_unknown_id_exits_3_and_says_where_to_look(mesh: Mesh, noun: str) -> None:
    ran = mesh.run(noun, "get", "nowhere")
    complaint = f"error: no {noun} named 'nowhere'; `devteam {noun} list` shows what there is\n"
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", complaint, 3)


def test_a_bad_plan_file_exits_2_and_names_every_field(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD_PLAN)
    ran = mesh.run("plan", "run", str(path))
    assert (ran.stdout, ran.returncode) == ("", 2)
    assert ran.stderr.splitlines() == [
        "error: 3 things are wrong",
        "  steps[0].queu: is not a key here; did you mean queue?",
        "  steps[1].prompt: must be given",
        "  steps[1].dependsOn: must be a list, not text",
    ]


def test_what_only_the_mesh_finds_wrong_exits_2_with_its_field(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "cycle.yaml"
    path.write_text(PLAN.replace("first, prompt", "first, dependsOn: [second], prompt"))
    ran = mesh.run("plan", "run", str(path))
    assert (ran.stdout, ran.returncode) == ("", 2)
    assert "steps[0].depends_on" in ran.stderr


def test_without_a_mesh_a_command_exits_4_and_says_how_to_start_one() -> None:
    ran = devteam("--api-url", "http://127.0.0.1:1", "task", "list", env=environment())
    assert (ran.stdout, ran.returncode) == ("", 4)
    assert "is the mesh running? Start one with `devteam up`" in ran.stderr


def test_a_running_task_can_be_cancelled_and_its_watcher_exits_5(mesh: Mesh) -> None:
    """The watch is told at once, and so are the words that came before."""
    slow = ("--model", "sim", "--option", "tokens=10000", "--option", "tokens_per_second=20")
    task_id = mesh.run("task", "create", *slow, "Never end").stdout.strip()
    with mesh.watching("task", "watch", task_id) as watcher:
        watcher.line('"event": "tokens"')
        cancelled = mesh.run("task", "cancel", task_id)
        assert (cancelled.stderr, cancelled.returncode) == (f"{task_id} is asked to stop\n", 0)
        watcher.line('"state": "cancelled"')
        assert watcher.wait() == 5


def test_a_slow_plan_can_be_cancelled_and_what_waits_never_starts(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text(PLAN.replace("tokens: 8, tokens_per_second: 1000", "tokens: 10000, tokens_per_second: 20"))
    plan_id = mesh.run("plan", "create", str(path)).stdout.strip()
    with mesh.watching("plan", "watch", plan_id) as watcher:
        watcher.line('"event": "tokens"')
        assert mesh.run("plan", "cancel", plan_id).returncode == 0
        assert watcher.wait() == 5
    plan = json.loads(mesh.run("-o", "json", "plan", "get", plan_id).stdout)
    assert [(task["state"], task["attempt"]) for task in plan["tasks"]] == [("cancelled", 1), ("cancelled", 0)]


def test_plan_run_takes_input_and_prints_what_the_last_step_says(mesh: Mesh, plan_file: Path) -> None:
    ran = mesh.run("-o", "json", "plan", "run", str(plan_file), "--input", "topic=wasps")
    plan = json.loads(ran.stdout)
    assert (plan["state"], plan["input"], ran.returncode) == ("succeeded", {"topic": "wasps"}, 0)
    assert plan["outputs"] == {"second": "*Simulated answer: no model was asked.*\n\n# Answer:"}


def test_the_example_plan_passes_the_mesh(mesh: Mesh) -> None:
    """Submitted without waiting for it, then cancelled: its steps are what the file says."""
    created = mesh.run("-o", "json", "plan", "create", str(REPOSITORY / "examples" / "research-pipeline.yaml"))
    plan = json.loads(created.stdout)
    assert [task["step_id"] for task in plan["tasks"]] == ["researcher", "analyst", "writer"]
    assert mesh.run("plan", "cancel", plan["id"]).returncode == 0


def test_workers_and_queues_are_shown(mesh: Mesh) -> None:
    """As tables that a shell can cut: one line for each."""
    workers = mesh.run("workers").stdout.splitlines()
    assert [line for line in workers if re.match(r"local +healthy +\d/4 ", line)] != []
    queues = json.loads(mesh.run("-o", "json", "queues").stdout)
    assert {"default", "gpu-queue", "research-queue"} <= {queue["name"] for queue in queues}
