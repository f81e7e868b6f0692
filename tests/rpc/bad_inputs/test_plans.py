"""Rows 1 to 13, 20 and 21: plans that are wrong."""

from pathlib import Path
from typing import Any

import pytest
from devteam_cli.plan_file import read_plan
from devteam_planner.domain import MAX_PROMPT_BYTES, FailureReason, StepOutcome, TaskSpec, TaskState
from devteam_planner.templates import render

from devteam.errors import InvalidInput
from devteam.mesh.tasks import background
from devteam.v1 import planner_pb2 as pb
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.step_bench import Bench
from tests.rpc.bad_inputs.table import Row, answer_to, row
from tests.rpc.planner.mesh import Mesh, step

SENT: list[tuple[Row, list[pb.StepSpec]]] = [
    (row(1), [step("a", depends_on=("b",)), step("b", depends_on=("a",))]),
    (row(2), [step("a", depends_on=("a",))]),
    (row(3), [step("a", depends_on=("x", "y"))]),
    (row(4), [step("a"), step("a")]),
    (row(5), [step("a", "{{nobody.output}}")]),
    (row(6), [step("a"), step("b", "{{a.output}}")]),
    *((row(7), [step("a", text)]) for text in ("{{", "{{ {{input.x}} }}", "{{a.state}}")),
    *((row(8), [step("a", text)]) for text in ("{{ a.__class__ }}", "{{input.x|up}}", "{{ 7*7 }}")),
    (row(10), [step("a", " ")]),
    (row(11), [step(f"s{number}") for number in range(501)]),
    (row(12), [step("a", "x" * (MAX_PROMPT_BYTES + 1))]),
]


@pytest.mark.parametrize(("entry", "steps"), SENT, ids=lambda given: str(getattr(given, "number", "")))
async def test_a_plan_is_refused(mesh: Mesh, entry: Row, steps: list[pb.StepSpec]) -> None:
    call = mesh.stub.CreatePlan(pb.CreatePlanRequest(name="p", steps=steps))
    assert await answer_to(call) == entry.answer
    assert mesh.workflows.started == {}


async def test_a_plan_without_steps_is_refused(mesh: Mesh) -> None:
    status, reason, _ = row(10).answer
    assert await answer_to(mesh.stub.CreatePlan(pb.CreatePlanRequest(name="p"))) == (status, reason, "steps")


async def test_an_output_that_looks_like_a_template_is_put_in_as_it_is(mesh: Mesh) -> None:
    made = mesh.create(step("a"), step("b", "say: {{a.output}}", depends_on=("a",)))
    assert await answer_to(made) == row(9).answer
    outputs = {"a": "{{b.output}} {{input.secret}}", "b": "never", "input": "never"}
    assert render("say: {{a.output}}", {"secret": "never"}, outputs) == "say: {{b.output}} {{input.secret}}"


async def test_a_prompt_that_grows_too_large_ends_its_step(mesh: Mesh) -> None:
    """What is refused then is in no call: the Planner's driver is asked itself."""
    made = mesh.create(step("a"), step("b", "{{a.output}}" * 3, depends_on=("a",)))
    assert await answer_to(made) == row(13).answer
    bench = Bench(HastyClock())
    async with background(bench.log.run):
        await bench.add(TaskSpec(prompt="{{input.x}}" * 30, model="sim"), inputs={"x": "y" * 10_000})
        assert await bench.run() == StepOutcome(TaskState.FAILED)
        task = await bench.task()
    assert task.failure is not None
    assert (task.attempt, task.failure.reason) == (0, FailureReason.PROMPT_TOO_LARGE)
    assert task.failure.reason.name in row(13).because


def refused(folder: Path, name: str, text: str) -> Any:
    """The reason of a file's refusal."""
    (folder / name).write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_plan(str(folder / name))
    return caught.value.violations[0].reason


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_a_plan_of_json_that_is_deep_is_refused(tmp_path: Path, deep: str) -> None:
    assert refused(tmp_path, "plan.json", deep) == row(20).reason
    assert refused(tmp_path, "plan.yaml", deep) == row(20).reason


def test_a_plan_of_yaml_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert refused(tmp_path, "plan.yaml", bomb) == row(21).reason
    assert refused(tmp_path, "plan.yaml", "name: !!python/object/apply:os.system [id]\n") == row(20).reason
