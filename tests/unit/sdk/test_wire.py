"""What the contract's messages become."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import spec_wire, wire
from devteam.errors import InvalidInput
from devteam.events import AttemptStarted, Gap, TextToken, ThinkingToken, Tokens, ToolCall, ToolResult
from devteam.models import CancelTrail, Explanation, FailureReason, TaskState, WorkerStatus
from devteam.specs import Generation, OnWorkerLoss, Placement, Requirements, RunPolicy, Step, Strategy, TaskSpec
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, run_pb2

FULL = TaskSpec(
    prompt="p",
    model="opus",
    queue="q",
    system_prompt="s",
    tools=("web",),
    placement=Placement(
        requirements=Requirements(gpu=True, gpu_model="5080", min_ram_gb=16.0, min_cpu_cores=4, labels={"rack": "3"}),
        strategy=Strategy.LOCALITY,
        priority=2,
        near_data_source="papers",
        preferred_queues=("a", "b"),
    ),
    generation=Generation(max_tokens=10, effort="low", options={"num_ctx": 8192.0, "stop": ["x"]}),
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
            Step(id="a", prompt="p", model="m", generation=Generation(options={"x": object()})),
            "generation.options: may hold only what JSON can hold, with text as keys",
        ),
    ],
)
def test_what_no_message_can_hold_is_refused(spec: Step, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_wire.step_to_proto(spec)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("state", "availability", "status"),
    [
        ("HEALTHY", "OPEN", WorkerStatus.HEALTHY),
        ("HEALTHY", "UNSPECIFIED", WorkerStatus.HEALTHY),
        ("HEALTHY", "CORDONED", WorkerStatus.CORDONED),
        ("HEALTHY", "DRAINING", WorkerStatus.DRAINING),
        ("SUSPECT", "OPEN", WorkerStatus.SUSPECT),
        ("UNHEALTHY", "DRAINING", WorkerStatus.UNHEALTHY),
        ("LOST", "CORDONED", WorkerStatus.LOST),
        ("UNSPECIFIED", "OPEN", WorkerStatus.UNKNOWN),
    ],
)
def test_a_workers_status_joins_its_health_and_the_operators_wish(
    state: str, availability: str, status: WorkerStatus
) -> None:
    worker = registry_pb2.Worker(
        state=registry_pb2.WorkerState.Value(f"WORKER_STATE_{state}"),
        availability=registry_pb2.Availability.Value(f"AVAILABILITY_{availability}"),
    )
    info = wire.worker_from_proto(worker)
    assert (info.status, info.availability.name) == (status, availability.replace("UNSPECIFIED", "OPEN"))


def test_a_worker_serves_every_model_if_one_of_its_queues_does() -> None:
    some = registry_pb2.WorkerQueue(name="gpu", concurrency=4, models=["opus", "ollama:*"])
    more = registry_pb2.WorkerQueue(name="default", concurrency=2, models=["opus", "haiku"])
    every = registry_pb2.WorkerQueue(name="any", concurrency=1)

    def info(*queues: registry_pb2.WorkerQueue) -> tuple[tuple[str, ...], int]:
        worker = wire.worker_from_proto(registry_pb2.Worker(spec=registry_pb2.WorkerSpec(queues=queues)))
        return worker.models, worker.concurrency

    assert info(some, more) == (("opus", "ollama:*", "haiku"), 6)
    assert info(some, every) == ((), 5)


def test_moments_are_in_utc_and_absent_ones_are_none() -> None:
    worker = registry_pb2.Worker()
    worker.last_heartbeat_at.FromDatetime(datetime(2026, 11, 22, 12, tzinfo=UTC))
    info = wire.worker_from_proto(worker)
    assert info.last_heartbeat == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert info.registered_at is None


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
        run_pb2.Token(tool_result=run_pb2.ToolResult(call_id="1", content="no", is_error=True)),
        run_pb2.Token(text="So"),
        run_pb2.Token(),
        run_pb2.Token(text="!"),
    ]
    batch = run_pb2.Tokens(task_id="t", attempt=2, first_seq=5, tokens=tokens)
    event = wire.event_from_proto(planner_pb2.WatchPlanResponse(tokens=batch), {"t": "writer"})
    told = (
        ThinkingToken("hm"),
        ToolCall("1", "web", "{}"),
        ToolResult("1", "no", is_error=True),
        TextToken("So"),
        TextToken(""),  # a kind that this client does not know keeps its place
        TextToken("!"),
    )
    assert event == Tokens("t", "writer", 2, 5, told)
    assert isinstance(event, Tokens)
    assert (event.text, event.last_seq) == ("So!", 10)


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


def test_an_explanation_says_whether_the_task_waits() -> None:
    waiting = router_pb2.Waiting(detail="all 4 slots are busy", queue="gpu")
    rejected = router_pb2.Candidate(worker_id="w1", rejected_because="no GPU", active=1, capacity=2)
    explanation = wire.explanation_from_proto(router_pb2.ExplainResponse(waiting=waiting, candidates=[rejected]))
    assert (explanation.reason, explanation.queue, explanation.worker_id) == ("all 4 slots are busy", "gpu", "")
    assert [candidate.rejected_because for candidate in explanation.candidates] == ["no GPU"]
    assigned = router_pb2.Assigned(
        worker=router_pb2.WorkerInstance(worker_id="w2"),
        decision=router_pb2.Decision(queue="gpu", reason="the tightest fit"),
    )
    assert wire.explanation_from_proto(router_pb2.ExplainResponse(assigned=assigned)) == Explanation(
        reason="the tightest fit", queue="gpu", worker_id="w2"
    )


def test_a_trail_tells_what_has_happened_and_no_more() -> None:
    message = planner_pb2.Task()
    assert wire.task_from_proto(message).cancel_trail is None
    message.cancel_trail.requested_at.FromDatetime(datetime(2026, 11, 22, 12, tzinfo=UTC))
    message.cancel_trail.model_closed_after.FromMilliseconds(21)
    assert wire.task_from_proto(message).cancel_trail == CancelTrail(
        requested_at=datetime(2026, 11, 22, 12, tzinfo=UTC), model_closed_after=timedelta(milliseconds=21)
    )
