"""Plans that were started by an older version go on under this one."""

import asyncio
from pathlib import Path

import pytest
from devteam_planner.workflows import PlanInput, PlanStep, PlanWorkflow
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


def history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"plan-recorded-{path.stem.replace('_', '-')}", path.read_text())


@workflow.defn(name="Plan")
class Backwards(PlanWorkflow):
    """The same, starting from the other end."""

    @workflow.init
    def __init__(self, plan: PlanInput) -> None:
        flipped = [PlanStep(step.step_id, []) for step in reversed(plan.steps)]
        super().__init__(PlanInput(plan.plan_id, flipped))

    @workflow.run
    async def run(self, plan: PlanInput) -> str:
        return await super().run(plan)


def test_there_are_histories_of_every_kind() -> None:
    names = [path.stem for path in HISTORIES]
    assert names == ["cancel", "diamond", "failure", "fan_out", "linear", "retry", "single"]


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_plan_replays(path: Path) -> None:
    replayer = Replayer(workflows=[PlanWorkflow])
    async with asyncio.timeout(60):
        result = await replayer.replay_workflow(history(path), raise_on_replay_failure=False)
    assert result.replay_failure is None


async def test_a_workflow_that_decides_otherwise_does_not_replay() -> None:
    """Else the test above would prove nothing."""
    (linear,) = (path for path in HISTORIES if path.stem == "linear")
    replayer = Replayer(workflows=[Backwards], workflow_runner=UnsandboxedWorkflowRunner())
    async with asyncio.timeout(60):
        result = await replayer.replay_workflow(history(linear), raise_on_replay_failure=False)
    assert isinstance(result.replay_failure, NondeterminismError)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_histories_hold_no_prompt_and_no_output(path: Path) -> None:
    text = path.read_text()
    assert "secret" not in text
    assert "says" not in text
