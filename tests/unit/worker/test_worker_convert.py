import pytest
from devteam_worker.convert.registry import declaration_to_proto, timings_from_proto
from devteam_worker.convert.reports import report_to_proto
from devteam_worker.convert.router import assignment_from_proto, attach_to_proto, word_to_proto
from devteam_worker.desk import RejectReason
from devteam_worker.domain import (
    Assignment,
    AttemptId,
    Cancelled,
    Completed,
    Declaration,
    Failed,
    HandBackReason,
    HandedBack,
    Machine,
    Occupied,
    Outcome,
    Queue,
)
from devteam_worker.in_hand import InHand
from devteam_worker.providers.base import (
    FailureReason,
    LocalModel,
    Progress,
    Prompt,
    Text,
    Thinking,
    Token,
    ToolCall,
    ToolResult,
    Usage,
)
from devteam_worker.timings import Timings
from devteam_worker.transcript import Transcript
from devteam_worker.words import Accepted, Beat, Offer, Rejected, Released, Report, Spoken
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from tests.fakes.agent_script import an_assignment

T1 = AttemptId("t1", 2)


def test_a_declaration_says_everything() -> None:
    declaration = Declaration(
        "w1",
        "i-1",
        (Queue("gpu", 4, ("opus", "ollama:*")), Queue("default", 2)),
        5,
        Machine(8, 24.5, gpu=True, gpu_model="RTX 5080", region="eu", zone="eu-1", host="asus"),
        labels={"disk": "ssd"},
        local_models=(LocalModel("ollama:llama3.3", resident=True, size_bytes=42),),
        data_sources=("wiki",),
        tools=("search",),
        version="1.2.3",
        weight=4.0,
    )
    assert declaration_to_proto(declaration) == registry_pb2.WorkerSpec(
        worker_id="w1",
        queues=[
            registry_pb2.WorkerQueue(name="gpu", concurrency=4, models=["opus", "ollama:*"]),
            registry_pb2.WorkerQueue(name="default", concurrency=2),
        ],
        concurrency=5,
        resources=registry_pb2.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24.5, cpu_cores=8),
        labels={"disk": "ssd"},
        location=registry_pb2.Location(region="eu", zone="eu-1", host="asus"),
        local_models=[registry_pb2.LocalModel(name="ollama:llama3.3", resident=True, size_bytes=42)],
        data_sources=["wiki"],
        tools=["search"],
        version="1.2.3",
        weight=4.0,
    )


def test_the_meshs_timings_are_milliseconds() -> None:
    policy = registry_pb2.HealthPolicy(
        heartbeat_interval=Duration(seconds=1, nanos=500_000_000),
        unhealthy_after=Duration(seconds=60),
        lost_after=Duration(seconds=120),
        deregister_after=Duration(seconds=300),
    )
    assert timings_from_proto(policy) == Timings(1_500, 60_000, 120_000, 300_000)
    assert timings_from_proto(registry_pb2.HealthPolicy()) == Timings()


def test_an_assignment_is_the_routers_run_in_the_queue_that_the_router_chose() -> None:
    options = Struct()
    options.update({"num_ctx": 8192, "stop": ["a", "b"], "format": {"type": "object"}})
    run = run_pb2.Run(
        task_id="t1",
        attempt=2,
        plan_id="p1",
        step_id="s1",
        prompt="What?",
        system_prompt="Be brief.",
        model="ollama:llama3.3",
        tools=["search"],
        generation=run_pb2.Generation(max_tokens=100, effort="low", options=options),
        run_timeout=Duration(seconds=90, nanos=500_000_000),
        trace_context={"traceparent": "00-abc"},
    )
    assert assignment_from_proto(worker_pb2.Assign(run=run, queue="gpu")) == Assignment(
        T1,
        "p1",
        "s1",
        "gpu",
        Prompt(
            "ollama:llama3.3",
            "What?",
            "Be brief.",
            tools=("search",),
            max_tokens=100,
            effort="low",
            options={"num_ctx": 8192.0, "stop": ["a", "b"], "format": {"type": "object"}},
        ),
        90.5,
        {"traceparent": "00-abc"},
    )


def test_a_run_without_a_timeout_has_an_hour() -> None:
    assignment = assignment_from_proto(worker_pb2.Assign(run=run_pb2.Run(task_id="t1", attempt=2)))
    assert assignment.run_timeout == 3600.0
    assert assignment.prompt == Prompt("", "")


def test_an_attach_names_what_is_in_hand() -> None:
    """How far it is, from where it can be had again, and whether it has ended."""
    running = InHand(an_assignment("t1", 2, queue="gpu"), Transcript(100))
    for word in ("one", "two", "three"):
        running.transcript.say(Text(word))
    running.transcript.acknowledge(2)
    ended = InHand(an_assignment("t2"), Transcript(100), outcome=Cancelled())
    declaration = Declaration("w1", "i-1", (Queue("gpu", 4),), 4)

    request = attach_to_proto(declaration, "secret", [running, ended], Occupied(3, {"gpu": 2, "default": 1}))

    assert request.attach == worker_pb2.Attach(
        worker_id="w1",
        instance_id="i-1",
        session_token="secret",
        running=[
            worker_pb2.RunningAttempt(task_id="t1", attempt=2, queue="gpu", last_seq=3, first_kept_seq=3),
            worker_pb2.RunningAttempt(
                task_id="t2", attempt=1, queue="default", last_seq=0, first_kept_seq=1, ended=True
            ),
        ],
        occupied=worker_pb2.Occupied(total=3, by_queue={"gpu": 2, "default": 1}),
    )


def test_an_attach_of_a_worker_that_nobody_else_uses_says_nothing_of_others() -> None:
    request = attach_to_proto(Declaration("w1", "i-1", (), 4), "secret", [], Occupied())
    assert not request.attach.HasField("occupied")


def test_what_others_take_can_be_nothing_again() -> None:
    assert word_to_proto(Occupied()) == worker_pb2.ConnectRequest(occupied=worker_pb2.Occupied())
    assert word_to_proto(Occupied(1, {"gpu": 1})).occupied == worker_pb2.Occupied(total=1, by_queue={"gpu": 1})


def test_an_offer_names_its_runs_as_an_attach_does() -> None:
    stray = InHand(an_assignment("t1", 2), Transcript(100))
    stray.transcript.say(Text("one"))
    assert list(word_to_proto(Offer([stray])).offer.running) == [
        worker_pb2.RunningAttempt(task_id="t1", attempt=2, queue="default", last_seq=1, first_kept_seq=1)
    ]


def test_a_beat_has_its_number_and_an_answer_names_its_attempt() -> None:
    assert word_to_proto(Beat(7)).beat == worker_pb2.Beat(number=7)
    assert word_to_proto(Accepted(T1)).accepted == worker_pb2.Accepted(task_id="t1", attempt=2)
    assert word_to_proto(Released(T1)).released == worker_pb2.Released(task_id="t1", attempt=2)


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        (RejectReason.BUSY, worker_pb2.REJECT_REASON_BUSY),
        (RejectReason.DRAINING, worker_pb2.REJECT_REASON_DRAINING),
        (RejectReason.NOT_SERVED, worker_pb2.REJECT_REASON_NOT_SERVED),
    ],
)
def test_a_rejection_says_why(reason: RejectReason, number: worker_pb2.RejectReason.ValueType) -> None:
    assert word_to_proto(Rejected(T1, reason, "for a reason")).rejected == worker_pb2.Rejected(
        task_id="t1", attempt=2, reason=number, message="for a reason"
    )


def test_tokens_keep_their_order_and_their_kind() -> None:
    tokens: list[Token] = [
        Progress("pulling: 42 %"),
        Thinking("hm"),
        Text(""),
        ToolCall("c1", "search", '{"q": 1}'),
        ToolResult("c1", "none", is_error=True, source="mcp:web"),
    ]
    assert word_to_proto(Spoken(T1, 9, tokens)).tokens == run_pb2.Tokens(
        task_id="t1",
        attempt=2,
        first_seq=9,
        tokens=[
            run_pb2.Token(progress="pulling: 42 %"),
            run_pb2.Token(thinking="hm"),
            run_pb2.Token(text=""),
            run_pb2.Token(tool_call=run_pb2.ToolCall(call_id="c1", name="search", arguments='{"q": 1}')),
            run_pb2.Token(
                tool_result=run_pb2.ToolResult(call_id="c1", content="none", is_error=True, source="mcp:web")
            ),
        ],
    )


@pytest.mark.parametrize(
    ("outcome", "report"),
    [
        (
            Completed("anthropic", "claude-opus-5-5", "end_turn", Usage(11, 7, 3, 2), 0.25),
            run_pb2.Report(
                completion=run_pb2.Completion(
                    provider="anthropic",
                    model="claude-opus-5-5",
                    stop_reason="end_turn",
                    usage=run_pb2.Usage(input_tokens=11, output_tokens=7, cache_read_tokens=3, cache_write_tokens=2),
                    time_to_first_token=Duration(nanos=250_000_000),
                )
            ),
        ),
        (
            Failed(FailureReason.RATE_LIMITED, "Slow down.", retryable=True, retry_after=1.5),
            run_pb2.Report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_RATE_LIMITED,
                    message="Slow down.",
                    retryable=True,
                    retry_after=Duration(seconds=1, nanos=500_000_000),
                )
            ),
        ),
        (
            Failed(FailureReason.REFUSED, "No."),
            run_pb2.Report(failure=run_pb2.Failure(reason=run_pb2.FAILURE_REASON_REFUSED, message="No.")),
        ),
        (Cancelled(), run_pb2.Report(cancellation=run_pb2.Cancellation())),
        (
            Cancelled(took=0.021),
            run_pb2.Report(cancellation=run_pb2.Cancellation(took=Duration(nanos=21_000_000))),
        ),
        (
            Cancelled(took=0.0, usage=Usage(11, 7, cost_usd=0.25)),
            run_pb2.Report(
                cancellation=run_pb2.Cancellation(
                    took=Duration(), usage=run_pb2.Usage(input_tokens=11, output_tokens=7, cost_usd=0.25)
                )
            ),
        ),
        (
            HandedBack(HandBackReason.DRAINING, "The worker drains.", usage=Usage(11, 7)),
            run_pb2.Report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_DRAINING,
                    message="The worker drains.",
                    usage=run_pb2.Usage(input_tokens=11, output_tokens=7),
                )
            ),
        ),
        (
            HandedBack(HandBackReason.DRAINING, "The worker drains."),
            run_pb2.Report(
                hand_back=run_pb2.HandBack(reason=run_pb2.HAND_BACK_REASON_DRAINING, message="The worker drains.")
            ),
        ),
        (
            HandedBack(HandBackReason.RATE_LIMITED, "Slow down.", 0.0, "anthropic"),
            run_pb2.Report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_RATE_LIMITED,
                    message="Slow down.",
                    retry_after=Duration(),
                    provider="anthropic",
                )
            ),
        ),
    ],
)
def test_a_report_says_how_it_ended(outcome: Outcome, report: run_pb2.Report) -> None:
    report.MergeFrom(run_pb2.Report(task_id="t1", attempt=2, last_seq=12))
    assert word_to_proto(Report(T1, 12, outcome)).report == report


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_has_its_number(reason: FailureReason) -> None:
    report = report_to_proto(Report(T1, 0, Failed(reason, "")))
    assert run_pb2.FailureReason.Name(report.failure.reason) == f"FAILURE_REASON_{reason}"


def test_the_contract_has_no_reason_that_is_not_known_here() -> None:
    names = {name.removeprefix("FAILURE_REASON_") for name in run_pb2.FailureReason.keys()}  # noqa: SIM118 - no dict
    assert names - {"UNSPECIFIED"} == set(FailureReason)
