"""What the contract's messages become."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import spec_wire, wire
from devteam.errors import InvalidInput
from devteam.events import AttemptStarted, Gap, ProgressToken, TextToken, ThinkingToken, Tokens, ToolCall, ToolResult
from devteam.models import CancelTrail, FailureReason, TaskState
from devteam.specs import Generation, OnWorkerLoss, Placement, Requirements, RunPolicy, Step, Strategy, TaskSpec
from devteam.v1 import planner_pb2, run_pb2

FULL = TaskSpec(
    prompt="p",
    model="opus",
    queue="q",
    system_prompt="s",
    tools=("web",),
    placement=Placement(
        requirements=Requirements(
            gpu=True,
            gpu_model="5080",
            min_ram_gb=16.0,
            min_cpu_cores=4,
            labels={"rack": "3"},
            data_sources=("papers", "maps"),
        ),
        strategy=Strategy.LOCALITY,
        priority=2,
        near_data_source="papers",
        preferred_queues=("a", "b"),
    ),
    generation=Generation(max_tokens=10, effort="low", options={"num_ctx": 8192.0, "stop": ["x"]}, max_turns=7),
    policy=RunPolicy(
        max_attempts=2,
        on_worker_loss=OnWorkerLoss.FAIL,
        run_timeout=timedelta(seconds=90),
        schedule_timeout=timedelta(hours=1),
    ),
)


def test_a_specification_comes_back_as_it_went() -> None:
    """Nothing that a caller says is lost on the wire."""
    assert spec_wire.task_spec_from_proto(spec_wire.task_spec_to_proto(FULL)) == FULL


def test_a_specification_that_says_nothing_sends_nothing() -> None:
    """Defaults are the mesh's business."""
    sent = spec_wire.task_spec_to_proto(TaskSpec(prompt="p", model="m"))
    assert not sent.policy.HasField("run_timeout")
    assert sent.placement.strategy == run_pb2.STRATEGY_UNSPECIFIED
    assert spec_wire.task_spec_from_proto(sent) == TaskSpec(prompt="p", model="m")


def test_a_dry_run_carries_what_placement_looks_at() -> None:
    """And nothing else: there is no attempt of it."""
    run = spec_wire.dry_run_to_proto(FULL)
    assert (run.model, run.queue, list(run.tools)) == ("opus", "q", ["web"])
    assert run.placement == spec_wire.task_spec_to_proto(FULL).placement
    assert (run.task_id, run.prompt, run.HasField("generation")) == ("", "", False)


def test_strategies_may_be_written_as_text() -> None:
    """As the mission's examples do."""
    sent = spec_wire.task_spec_to_proto(TaskSpec(prompt="p", model="m", placement=Placement(strategy="round-robin")))
    assert sent.placement.strategy == run_pb2.STRATEGY_ROUND_ROBIN


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            Step(id="a", prompt="p", model="m", placement=Placement(strategy="localty")),
            "placement.strategy: 'localty' is none of the choices; did you mean locality?",
        ),
        (
            Step(id="a", prompt="p", model="m", policy=RunPolicy(on_worker_loss="explode")),
            "policy.on_worker_loss: 'explode' is none of the choices; there are restart, fail",
        ),
        (Step(id="a", prompt="p", model="m", depends_on="b"), "depends_on: must be a list of names; write ['b']"),
        (
            Step(id="a", prompt="p", model="m", placement=Placement(requirements=Requirements(data_sources="b"))),
            "placement.requirements.data_sources: must be a list of names; write ['b']",
        ),
        (
            Step(id="a", prompt="p", model="m", generation=Generation(options={"x": object()})),
            "generation.options: may hold only what JSON can hold, with text as keys",
        ),
    ],
)
def test_what_no_message_can_hold_is_refused(spec: Step, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_wire.step_to_proto(spec)
    assert caught.value.message == message


def test_states_newer_than_the_client_are_unknown() -> None:
    """A newer mesh must not break an older client."""
    task = planner_pb2.Task(task_id="t", failure=run_pb2.Failure(reason=99, message="m"))  # type: ignore[arg-type]  # open enum
    task.state = 99  # type: ignore[assignment]  # open enum
    info = wire.task_from_proto(task)
    assert info.state is TaskState.UNKNOWN
    assert info.failure is not None
    assert info.failure.reason is FailureReason.UNKNOWN


def test_tokens_carry_their_step_and_their_kind() -> None:
    tokens = [
        run_pb2.Token(thinking="hm"),
        run_pb2.Token(tool_call=run_pb2.ToolCall(call_id="1", name="web", arguments="{}")),
        run_pb2.Token(tool_result=run_pb2.ToolResult(call_id="1", content="no", is_error=True, source="function")),
        run_pb2.Token(progress="pulling: 42 %"),
        run_pb2.Token(text="So"),
        run_pb2.Token(),
        run_pb2.Token(text="!"),
    ]
    batch = run_pb2.Tokens(task_id="t", attempt=2, first_seq=5, tokens=tokens)
    event = wire.event_from_proto(planner_pb2.WatchPlanResponse(tokens=batch), {"t": "writer"})
    told = (
        ThinkingToken("hm"),
        ToolCall("1", "web", "{}"),
        ToolResult("1", "no", is_error=True, source="function"),
        ProgressToken("pulling: 42 %"),
        TextToken("So"),
        TextToken(""),  # a kind that this client does not know keeps its place
        TextToken("!"),
    )
    assert event == Tokens("t", "writer", 2, 5, told)
    assert isinstance(event, Tokens)
    assert (event.text, event.last_seq) == ("So!", 11)


def test_attempts_and_gaps_are_told() -> None:
    started = planner_pb2.AttemptStarted(task_id="t", attempt=2, reason="worker w1 was lost")
    gap = planner_pb2.TokenGap(task_id="t", attempt=2, first_seq=3, last_seq=9)
    steps = {"t": "a"}
    assert wire.event_from_proto(planner_pb2.WatchTaskResponse(attempt_started=started), steps) == AttemptStarted(
        "t", "a", 2, "worker w1 was lost"
    )
    assert wire.event_from_proto(planner_pb2.WatchTaskResponse(gap=gap), steps) == Gap("t", "a", 2, 3, 9)


def test_an_event_newer_than_the_client_is_passed_over() -> None:
    assert wire.event_from_proto(planner_pb2.WatchTaskResponse(), {}) is None


def test_a_trail_tells_what_has_happened_and_no_more() -> None:
    message = planner_pb2.Task()
    assert wire.task_from_proto(message).cancel_trail is None
    message.cancel_trail.requested_at.FromDatetime(datetime(2026, 11, 22, 12, tzinfo=UTC))
    message.cancel_trail.model_closed_after.FromMilliseconds(21)
    assert wire.task_from_proto(message).cancel_trail == CancelTrail(
        requested_at=datetime(2026, 11, 22, 12, tzinfo=UTC), model_closed_after=timedelta(milliseconds=21)
    )
