"""Requests that are wrong: status, reason and field of each, and never an internal error."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import InvalidInput
from devteam.mesh.paging import page_token
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import run_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch
from tests.rpc.planner.mesh import Mesh, events, refusal, running, step

KIB = 1024
Violation = tuple[str, str]


async def violations(call: Any) -> list[Violation]:
    """Fields and reasons that a call is refused for, in their order."""
    code, error = await refusal(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidInput)
    return [(violation.field, violation.reason) for violation in error.violations]


async def messages(call: Any) -> list[str]:
    """The sentences that a call is refused with."""
    _, error = await refusal(call)
    assert isinstance(error, InvalidInput)
    return [violation.message for violation in error.violations]


PLANS: list[Any] = [
    pytest.param(
        [step("a", depends_on=("c",)), step("b", depends_on=("a",)), step("c", depends_on=("b",))],
        [("steps[0].depends_on", "PLAN_CYCLE")],
        id="a cycle",
    ),
    pytest.param(
        [step("a", depends_on=("a",))],
        [("steps[0].depends_on", "PLAN_SELF_DEPENDENCY")],
        id="a step that depends on itself",
    ),
    pytest.param(
        [step("a", depends_on=("x", "y")), step("b", depends_on=("a", "z"))],
        [("steps[0].depends_on", "PLAN_UNKNOWN_STEP")] * 2 + [("steps[1].depends_on", "PLAN_UNKNOWN_STEP")],
        id="unknown dependencies, all of them",
    ),
    pytest.param([step("a"), step("b"), step("a")], [("steps[2].id", "PLAN_DUPLICATE_ID")], id="an id given twice"),
    pytest.param(
        [step("\u00e9"), step("e\u0301")],
        [("steps[0].id", "ID_FORMAT"), ("steps[1].id", "ID_FORMAT"), ("steps[1].id", "PLAN_DUPLICATE_ID")],
        id="ids that only look the same",
    ),
    pytest.param(
        [step("a", "{{researcher.output}}")],
        [("steps[0].prompt", "TEMPLATE_UNKNOWN_STEP")],
        id="a template that names no step",
    ),
    pytest.param(
        [step("a"), step("b", system_prompt="{{a.output}}")],
        [("steps[1].system_prompt", "TEMPLATE_NOT_ANCESTOR")],
        id="a template that names a step that is not upstream",
    ),
    pytest.param(
        [step("a", "{{input.subject}}")],
        [("steps[0].prompt", "TEMPLATE_UNKNOWN_INPUT")],
        id="a template that names no input",
    ),
    *(
        pytest.param([step("a", text)], [("steps[0].prompt", "TEMPLATE_SYNTAX")], id=f"a template like {text}")
        for text in (
            "{{",
            "{{a.output",
            "{{ {{input.topic}} }}",
            "{{a.state}}",
            "{{ a.__class__ }}",
            "{{input.topic|up}}",
        )
    ),
    pytest.param([], [("steps", "FIELD_REQUIRED")], id="no step"),
    pytest.param([step("a", " \n")], [("steps[0].prompt", "FIELD_REQUIRED")], id="an empty prompt"),
    pytest.param([step(f"s{n}") for n in range(501)], [("steps", "PLAN_TOO_LARGE")], id="501 steps"),
    pytest.param(
        [step(f"s{n}", "x" * 200 * KIB) for n in range(16)], [("steps", "PLAN_TOO_LARGE")], id="more than 3 MiB"
    ),
    pytest.param([step("a", "é" * 131_073)], [("steps[0].prompt", "PROMPT_TOO_LARGE")], id="256 KiB and two bytes"),
    pytest.param([step("a", "a\0b")], [("steps[0].prompt", "TEXT_FORBIDDEN_CHAR")], id="a NUL"),
    *(
        pytest.param([step(name)], [("steps[0].id", "ID_FORMAT")], id=f"the id {name[:8]}")
        for name in ("a b", "a.b", "a" * 65, "input", "../etc")
    ),
    pytest.param([step("")], [("steps[0].id", "FIELD_REQUIRED")], id="no id"),
]


@pytest.mark.parametrize(("steps", "expected"), PLANS)
async def test_a_plan_is_refused(mesh: Mesh, steps: list[pb.StepSpec], expected: list[Violation]) -> None:
    request = pb.CreatePlanRequest(name="p", steps=steps, input={"topic": "tea"})
    assert await violations(mesh.stub.CreatePlan(request)) == expected
    assert mesh.workflows.started == {}


Change = Callable[[pb.TaskSpec], object]

SPECS: list[tuple[Change, list[Violation]]] = [
    (lambda t: t.ClearField("prompt"), [("task.prompt", "FIELD_REQUIRED")]),
    (lambda t: t.ClearField("model"), [("task.model", "FIELD_REQUIRED")]),
    (lambda t: setattr(t, "model", "é" * 256), [("task.model", "TEXT_TOO_LARGE")]),
    (lambda t: setattr(t, "model", "a" * 5000), [("task.model", "TEXT_TOO_LARGE")]),
    (lambda t: setattr(t, "queue", "gpu queue"), [("task.queue", "ID_FORMAT")]),
    (lambda t: setattr(t, "queue", "q" * 129), [("task.queue", "ID_FORMAT")]),
    (lambda t: setattr(t, "system_prompt", "x" * (256 * KIB + 1)), [("task.system_prompt", "PROMPT_TOO_LARGE")]),
    (lambda t: t.tools.extend(["search"] * 65), [("task.tools", "TOO_MANY")]),
    (lambda t: t.tools.extend(["search", ""]), [("task.tools[1]", "FIELD_REQUIRED")]),
    (lambda t: setattr(t.placement, "strategy", 99), [("task.placement.strategy", "UNKNOWN_ENUM")]),
    (lambda t: setattr(t.placement, "priority", 2**31 - 1), [("task.placement.priority", "OUT_OF_BOUNDS")]),
    (lambda t: setattr(t.placement, "priority", -1), [("task.placement.priority", "OUT_OF_BOUNDS")]),
    (lambda t: t.placement.preferred_queues.append("/"), [("task.placement.preferred_queues[0]", "ID_FORMAT")]),
    (
        lambda t: setattr(t.placement.requirements, "min_ram_gb", math.nan),
        [("task.placement.requirements.min_ram_gb", "OUT_OF_BOUNDS")],
    ),
    (
        lambda t: setattr(t.placement.requirements, "min_ram_gb", math.inf),
        [("task.placement.requirements.min_ram_gb", "OUT_OF_BOUNDS")],
    ),
    (
        lambda t: setattr(t.placement.requirements, "min_cpu_cores", 4097),
        [("task.placement.requirements.min_cpu_cores", "OUT_OF_BOUNDS")],
    ),
    (
        lambda t: setattr(t.placement.requirements, "gpu_model", "x" * 65),
        [("task.placement.requirements.gpu_model", "TEXT_TOO_LARGE")],
    ),
    (
        lambda t: t.placement.requirements.labels.update({str(n): "" for n in range(33)}),
        [("task.placement.requirements.labels", "TOO_MANY")],
    ),
    (
        lambda t: t.placement.requirements.labels.update({"zone": "\0"}),
        [("task.placement.requirements.labels", "TEXT_FORBIDDEN_CHAR")],
    ),
    (
        lambda t: t.placement.requirements.data_sources.extend(["wiki", "a lake"]),
        [("task.placement.requirements.data_sources[1]", "ID_FORMAT")],
    ),
    (
        lambda t: t.placement.requirements.data_sources.extend(["wiki"] * 17),
        [("task.placement.requirements.data_sources", "TOO_MANY")],
    ),
    (lambda t: setattr(t.generation, "max_tokens", 1_000_001), [("task.generation.max_tokens", "OUT_OF_BOUNDS")]),
    (
        lambda t: t.generation.options.update({"deep": [{"x": math.nan}]}),
        [("task.generation.options", "OUT_OF_BOUNDS")],
    ),
    (
        lambda t: t.generation.options.update({"deep": {"x": "\0"}}),
        [("task.generation.options", "TEXT_FORBIDDEN_CHAR")],
    ),
    (lambda t: setattr(t.policy, "max_attempts", 21), [("task.policy.max_attempts", "OUT_OF_BOUNDS")]),
    (lambda t: setattr(t.policy, "on_worker_loss", 7), [("task.policy.on_worker_loss", "UNKNOWN_ENUM")]),
    (lambda t: t.policy.run_timeout.SetInParent(), [("task.policy.run_timeout", "OUT_OF_BOUNDS")]),
    (lambda t: t.policy.run_timeout.CopyFrom(Duration(seconds=-5)), [("task.policy.run_timeout", "OUT_OF_BOUNDS")]),
    (
        lambda t: t.policy.run_timeout.CopyFrom(Duration(seconds=24 * 3600, nanos=1)),
        [("task.policy.run_timeout", "OUT_OF_BOUNDS")],
    ),
    (
        lambda t: t.policy.schedule_timeout.CopyFrom(Duration(seconds=2**63 - 1, nanos=2**31 - 1)),
        [("task.policy.schedule_timeout", "OUT_OF_BOUNDS")],
    ),
]


@pytest.mark.parametrize(("change", "expected"), SPECS)
async def test_a_task_is_refused(mesh: Mesh, change: Change, expected: list[Violation]) -> None:
    spec = pb.TaskSpec(prompt="Say hello", model="sim")
    change(spec)
    assert await violations(mesh.stub.CreateTask(pb.CreateTaskRequest(task=spec))) == expected
    assert mesh.workflows.started == {}


async def test_everything_that_is_wrong_is_said_at_once(mesh: Mesh) -> None:
    """In a plan too, with the way to each field."""
    bad = step("b", "{{c.output}}", depends_on=("a",), queue="/")
    bad.placement.requirements.min_ram_gb = -1
    request = pb.CreatePlanRequest(
        name="x" * 129, steps=[step("a", ""), bad], input={"to pic": "tea"}, request_id="no spaces"
    )
    assert await violations(mesh.stub.CreatePlan(request)) == [
        ("request_id", "ID_FORMAT"),
        ("name", "TEXT_TOO_LARGE"),
        ("input['to pic']", "ID_FORMAT"),
        ("steps[0].prompt", "FIELD_REQUIRED"),
        ("steps[1].queue", "ID_FORMAT"),
        ("steps[1].placement.requirements.min_ram_gb", "OUT_OF_BOUNDS"),
        ("steps[1].prompt", "TEMPLATE_UNKNOWN_STEP"),
    ]
    assert await violations(mesh.stub.CreateTask(pb.CreateTaskRequest())) == [
        ("task", "FIELD_REQUIRED"),
        ("task.prompt", "FIELD_REQUIRED"),
        ("task.model", "FIELD_REQUIRED"),
    ]


async def test_more_mistakes_than_an_answer_can_carry_are_cut(mesh: Mesh) -> None:
    """HTTP/2 trailers end at 8 KiB; beyond them a client would see a broken stream."""
    steps = [step(f"s{n}", "{{nobody.output}}", depends_on=("wrong " * 50,)) for n in range(500)]
    found = await violations(mesh.stub.CreatePlan(pb.CreatePlanRequest(name="p", steps=steps)))
    assert found[0] == ("steps[0].depends_on", "PLAN_UNKNOWN_STEP")
    assert found[-1] == ("", "TOO_MANY")
    assert len(found) > 10


async def test_inputs_are_bounded(mesh: Mesh) -> None:
    def plan(values: dict[str, str]) -> Any:
        return mesh.stub.CreatePlan(pb.CreatePlanRequest(name="p", steps=[step("a")], input=values))

    assert await violations(plan({f"n{n}": "" for n in range(65)})) == [("input", "TOO_MANY")]
    assert await violations(plan({"a": "x" * 200 * KIB, "b": "x" * 57 * KIB})) == [("input", "TEXT_TOO_LARGE")]
    assert await violations(plan({"a": "\0"})) == [("input['a']", "TEXT_FORBIDDEN_CHAR")]


async def test_sentences_help(mesh: Mesh) -> None:
    """They show the circle, the place in the template, and the name that was probably meant."""
    steps = [
        step("research", "{{", depends_on=("write",)),
        step("write", "{{resarch.output}}", depends_on=("research",)),
    ]
    assert await messages(mesh.stub.CreatePlan(pb.CreatePlanRequest(name="p", steps=steps))) == [
        "steps wait for each other in a circle: research > write > research",
        "line 1, column 1: {{ is never closed; write \\{{ for two literal braces",
        "'resarch' is no step of this plan; did you mean 'research'?",
    ]


async def test_the_prompt_of_a_task_is_no_template(mesh: Mesh) -> None:
    spec = pb.TaskSpec(prompt="{{ user }} {{a.output}} {{", model="sim")
    task = (await mesh.stub.CreateTask(pb.CreateTaskRequest(task=spec))).task
    assert task.spec.prompt == "{{ user }} {{a.output}} {{"


async def test_the_largest_plan_is_accepted_and_can_be_read(mesh: Mesh) -> None:
    """500 steps of 6 KiB each, every one with all bounds reached that are cheap."""
    steps = [step(f"s{n}", "x" * 6000, queue="q" * 128) for n in range(500)]
    plan = await mesh.create(*steps)
    read = await mesh.stub.GetPlan(pb.GetPlanRequest(plan_id=plan.plan_id))
    assert len(read.plan.tasks) == 500


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "t-1/../t-2", "t\0"])
async def test_an_id_is_checked_everywhere(mesh: Mesh, bad: str) -> None:
    reason = "ID_FORMAT" if bad else "FIELD_REQUIRED"
    stub = mesh.stub
    calls: list[tuple[str, Awaitable[Any]]] = [
        ("task_id", stub.GetTask(pb.GetTaskRequest(task_id=bad))),
        ("task_id", stub.CancelTask(pb.CancelTaskRequest(task_id=bad))),
        ("task_id", events(stub.WatchTask(pb.WatchTaskRequest(task_id=bad)))),
        ("plan_id", stub.GetPlan(pb.GetPlanRequest(plan_id=bad))),
        ("plan_id", stub.CancelPlan(pb.CancelPlanRequest(plan_id=bad))),
        ("plan_id", events(stub.WatchPlan(pb.WatchPlanRequest(plan_id=bad)))),
    ]
    for field, call in calls:
        assert await violations(call) == [(field, reason)]


async def test_what_does_not_exist_is_not_found(mesh: Mesh) -> None:
    stub = mesh.stub
    for call in (
        stub.GetTask(pb.GetTaskRequest(task_id="t-9")),
        stub.GetPlan(pb.GetPlanRequest(plan_id="p-9")),
        stub.CancelTask(pb.CancelTaskRequest(task_id="t-9")),
        stub.CancelPlan(pb.CancelPlanRequest(plan_id="p-9")),
        events(stub.WatchTask(pb.WatchTaskRequest(task_id="t-9"))),
        events(stub.WatchPlan(pb.WatchPlanRequest(plan_id="p-9"))),
    ):
        code, error = await refusal(call)
        assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("page_size", -1, ("page_size", "OUT_OF_BOUNDS")),
        ("page_size", 501, ("page_size", "OUT_OF_BOUNDS")),
        ("page_token", "forged", ("page_token", "PAGE_TOKEN_INVALID")),
        ("state", 99, ("state", "UNKNOWN_ENUM")),
    ],
)
async def test_pages_are_checked(mesh: Mesh, field: str, value: Any, expected: Violation) -> None:
    tasks, plans = pb.ListTasksRequest(), pb.ListPlansRequest()
    setattr(tasks, field, value)
    setattr(plans, field, value)
    assert await violations(mesh.stub.ListTasks(tasks)) == [expected]
    assert await violations(mesh.stub.ListPlans(plans)) == [expected]


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
async def test_a_page_token_that_is_no_name_reaches_no_database(
    clock: FakeClock, database: str, request: pytest.FixtureRequest
) -> None:
    """PostgreSQL takes no NUL in a text."""
    async with running(clock, request.getfixturevalue(database)) as mesh:
        token, expected = page_token("\x00x"), [("page_token", "PAGE_TOKEN_INVALID")]
        assert await violations(mesh.stub.ListTasks(pb.ListTasksRequest(page_token=token))) == expected
        assert await violations(mesh.stub.ListPlans(pb.ListPlansRequest(page_token=token))) == expected


async def test_a_watch_past_the_end_is_refused(mesh: Mesh) -> None:
    spec = pb.TaskSpec(prompt="Say hello", model="sim")
    task = (await mesh.stub.CreateTask(pb.CreateTaskRequest(task=spec))).task
    await mesh.begin(task.task_id)
    await mesh.say(task.task_id, a_batch(1, "a", "b"))
    await mesh.succeed(task.task_id, "ab")
    cursor = pb.Cursor(task_id=task.task_id, attempt=1, after_seq=3)
    for call in (
        mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id, attempt=1, after_seq=3)),
        mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id=task.plan_id, after=[cursor])),
    ):
        code, error = await refusal(events(call))
        assert (code, error.reason) == (grpc.StatusCode.OUT_OF_RANGE, "SEQ_OUT_OF_RANGE")
        assert error.metadata["latest"] == "2"


async def test_a_step_of_a_plan_cannot_be_cancelled_alone(mesh: Mesh) -> None:
    plan = await mesh.create(step("a"))
    code, error = await refusal(mesh.stub.CancelTask(pb.CancelTaskRequest(task_id=plan.tasks[0].task_id)))
    assert (code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STEP_OF_PLAN")


async def test_bytes_that_are_no_message_are_refused(mesh: Mesh) -> None:
    """As they come from a client that is broken or hostile."""
    bad_text = run_pb2.Token(text="x").SerializeToString().replace(b"x", b"\xff")
    call: Any = mesh.channel.unary_unary("/devteam.v1.PlannerService/GetTask", request_serializer=bytes)
    assert await violations(call(bad_text)) == [("", "MALFORMED_MESSAGE")]
