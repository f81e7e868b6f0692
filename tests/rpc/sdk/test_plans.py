"""Plans against a mesh over real gRPC."""

import asyncio
from collections.abc import Mapping

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from devteam import DevTeamClient, FailureReason, Plan, PlanChanged, PlanState, Step, TaskState, Tokens
from devteam.errors import FailedPrecondition, InvalidInput
from devteam.testing import FakeMesh, Run

RESEARCH: list[Mapping[str, object]] = [
    {"id": "researcher", "prompt": "about {{input.topic}}", "model": "sonnet", "systemPrompt": "dig"},
    {"id": "analyst", "prompt": "weigh {{researcher.output}}", "model": "opus", "dependsOn": ["researcher"]},
    {"id": "writer", "prompt": "tell {{analyst.output}}", "model": "sonnet", "depends_on": ["analyst"]},
]


async def test_a_plan_runs_in_the_order_of_its_dependencies() -> None:
    """Each step sees the outputs of the steps before it."""
    prompts: list[str] = []

    def answer(run: Run) -> str:
        prompts.append(run.prompt)
        return f"[{run.step_id}]"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        assert [task.depends_on for task in plan.tasks] == [(), ("researcher",), ("analyst",)]
        done = await client.wait(plan.id)
        assert isinstance(done, Plan)
        assert done.state is PlanState.SUCCEEDED
        assert prompts == ["about tides", "weigh [researcher]", "tell [analyst]"]
        [final] = done.final_tasks
        assert (await client.get_task(final.id)).output == "[writer]"


async def test_a_plans_watch_tells_every_step() -> None:
    """Tokens name the step that they belong to, and the plan's end comes last."""
    async with FakeMesh(lambda run: run.step_id.upper()) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        events = [event async for event in client.watch_plan(plan.id)]
    said = {event.step_id: event.text for event in events if isinstance(event, Tokens)}
    assert said == {"researcher": "RESEARCHER", "analyst": "ANALYST", "writer": "WRITER"}
    assert isinstance(events[-1], PlanChanged)
    assert events[-1].plan.state is PlanState.SUCCEEDED


async def test_a_failed_step_skips_what_depends_on_it() -> None:
    """The failure says why."""

    def answer(run: Run) -> str:
        if run.step_id == "analyst":
            raise ValueError("cannot count")
        return "fine"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        done = await client.wait(plan.id)
    assert isinstance(done, Plan)
    assert done.state is PlanState.FAILED
    assert [task.state for task in done.tasks] == [TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED]
    failure = done.tasks[1].failure
    assert failure is not None
    assert (failure.reason, failure.message) == (FailureReason.HANDLER, "cannot count")


async def test_a_cancelled_plan_starts_no_more_steps() -> None:
    """A step alone cannot be cancelled."""
    forever = asyncio.Event()

    async def answer(run: Run) -> str:
        await forever.wait()
        return ""

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        with pytest.raises(FailedPrecondition, match="cancel the plan"):
            await client.cancel_task(plan.tasks[0].id)
        done = await client.cancel_plan(plan.id)
        assert done.cancel_requested_at is not None
        assert [task.state for task in (await client.get_plan(plan.id)).tasks] == [TaskState.CANCELLED] * 3


async def test_every_violation_arrives_with_its_field() -> None:
    """As the server found it."""
    steps = [
        Step(id="a", prompt=" ", model=""),
        Step(id="a", prompt="p", model="m", depends_on=["nobody"]),
    ]
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", steps)
    assert [(violation.field, violation.reason) for violation in caught.value.violations] == [
        ("steps[0].prompt", "FIELD_REQUIRED"),
        ("steps[0].model", "FIELD_REQUIRED"),
        ("steps[1].id", "PLAN_DUPLICATE_ID"),
        ("steps[1].depends_on[0]", "PLAN_UNKNOWN_STEP"),
    ]


async def test_steps_that_wait_for_each_other_are_refused() -> None:
    steps = [
        Step(id="a", prompt="p", model="m", depends_on=["b"]),
        Step(id="b", prompt="p", model="m", depends_on=["a"]),
    ]
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", steps)
    assert [violation.reason for violation in caught.value.violations] == ["PLAN_CYCLE"]


async def test_a_mistaken_mapping_never_leaves_the_client() -> None:
    """It is refused with the path that the caller wrote."""
    async with DevTeamClient("http://127.0.0.1:1") as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", [{"id": "a", "prompt": "p", "model": "m", "dependOn": []}])
    assert caught.value.message == "steps[0].dependOn: is not a key here; did you mean dependsOn?"


async def test_a_fake_mesh_goes_on_with_the_trace_of_whoever_called_it_and_begins_others() -> None:
    """Its tests look at what they would show of a real one."""
    span = NonRecordingSpan(SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=TraceFlags(1)))
    async with FakeMesh() as mesh, mesh.client() as client:
        untraced = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        with trace.use_span(span):
            plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
            task = await client.create_task("hi", model="sonnet")
        listed = await client.list_tasks(plan_id=plan.id)
    trace_id = "000000000000000000000000000000ab"
    assert plan.trace_id == trace_id
    assert len(untraced.trace_id) == len(trace_id)
    assert untraced.trace_id != trace_id
    assert {(step.plan_name, step.trace_id) for step in (*plan.tasks, *listed)} == {("research", trace_id)}
    assert (task.plan_name, task.trace_id) == ("", trace_id)
