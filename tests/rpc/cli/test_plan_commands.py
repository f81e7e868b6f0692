"""`devteam plan`: what it writes where, and its exit codes."""

import json
from pathlib import Path

from devteam.testing import FakeMesh, Run
from tests.rpc.cli.command import Stuck, ran

PLAN = """\
name: research
input: {topic: tides}
steps:
  - {id: researcher, prompt: 'about {{input.topic}}', model: sonnet}
  - {id: analyst, prompt: 'weigh {{researcher.output}}', model: opus, dependsOn: [researcher]}
"""


async def test_a_plan_prints_what_its_last_steps_say(tmp_path: Path) -> None:
    """How it went is on stderr; the command line's input wins over the file's."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    async with FakeMesh() as mesh:
        done = await ran(mesh, "plan", "run", str(file), "--input", "topic=stars")
    assert (done.code, done.out) == (0, "weigh about stars\n")
    *_, told, summed_up = done.err.splitlines()
    assert told.startswith("research (plan-")
    assert told.endswith("): succeeded")
    assert " succeeded · 2 of 2 steps" in summed_up
    assert "\x1b" not in done.err


async def test_several_last_steps_are_told_apart(tmp_path: Path) -> None:
    """By a line above each; in JSON by their names."""
    file = tmp_path / "plan.yaml"
    file.write_text(
        PLAN + "  - {id: critic, prompt: 'doubt {{researcher.output}}', model: opus, dependsOn: [researcher]}\n"
    )
    async with FakeMesh() as mesh:
        text = await ran(mesh, "plan", "run", str(file))
        document = await ran(mesh, "plan", "run", str(file), "-o", "json")
    assert text.out == "--- analyst ---\nweigh about tides\n--- critic ---\ndoubt about tides\n"
    plan = json.loads(document.out)
    assert plan["outputs"] == {"analyst": "weigh about tides", "critic": "doubt about tides"}
    assert [task["state"] for task in plan["tasks"]] == ["succeeded"] * 3


async def test_a_failed_plan_says_which_step_failed(tmp_path: Path) -> None:
    def answer(run: Run) -> str:
        raise ValueError("cannot count")

    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"name": "n", "steps": [{"id": "a", "prompt": "p", "model": "m"}]}))
    async with FakeMesh(answer) as mesh:
        done = await ran(mesh, "plan", "run", str(file))
    assert (done.code, done.out) == (1, "")
    assert "error: step a failed: handler: cannot count\n" in done.err


async def test_plans_are_created_listed_shown_watched_and_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    async with FakeMesh(Stuck().answer) as mesh:
        created = await ran(mesh, "plan", "create", str(file))
        plan_id = created.out.strip()
        shown = await ran(mesh, "plan", "get", plan_id)
        cancelled = await ran(mesh, "plan", "cancel", plan_id)
        watched = await ran(mesh, "plan", "watch", plan_id, "-o", "jsonl")
        listed = await ran(mesh, "plan", "list", "--state", "cancelled", "-o", "json")
    assert [line.split()[0] for line in shown.out.splitlines() if line] == [
        "ID",
        plan_id,
        "STEP",
        "researcher",
        "analyst",
    ]
    assert cancelled.err == f"{plan_id} is cancelled\n"
    assert watched.code == 5
    assert json.loads(watched.out.splitlines()[-1])["plan"]["state"] == "cancelled"
    assert [plan["id"] for plan in json.loads(listed.out)] == [plan_id]


async def test_mistakes_in_a_plan_file_are_exit_code_2(tmp_path: Path) -> None:
    """All of them, without asking any mesh."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("dependsOn", "dependOn").replace("model: sonnet", "mode: sonnet"))
    done = await ran(None, "plan", "run", str(file))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "error: 3 things are wrong",
        "  steps[0].model: must be given",
        "  steps[0].mode: is not a key here; did you mean model?",
        "  steps[1].dependOn: is not a key here; did you mean dependsOn?",
    ]


async def test_what_the_mesh_refuses_is_exit_code_2(tmp_path: Path) -> None:
    """With the field as the mesh names it."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("[researcher]", "[resercher]"))
    async with FakeMesh() as mesh:
        done = await ran(mesh, "plan", "run", str(file))
    assert done.code == 2
    assert done.err == "error: steps[1].depends_on[0]: there is no step 'resercher'\n"
