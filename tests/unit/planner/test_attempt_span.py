"""What a driver leaves in the trace of what it drives, and in the log."""

import asyncio
from dataclasses import replace

import pytest
import structlog
from devteam_planner import attempt_span, cancels
from devteam_planner.domain import Cancelled, Failure, FailureReason, GivenBack, HandedBack, StepOutcome, TaskState
from devteam_planner.ports import Ending, RouterGone, RunAssigned, RunCancelling, RunLost, RunReport
from devteam_planner.retry_policy import brief
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode, get_current_span
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from devteam.mesh.errors import Aborted, Unavailable
from devteam.mesh.logs import with_trace
from devteam.mesh.trace_context import span_context_of
from tests.fakes.spans import Spans, attributes, context_of, events, hangs_on
from tests.fakes.step_bench import ASSIGNED, DONE, W1, W2, Bench, tokens

# What workers and providers say may quote a prompt.
QUOTED = Failure(FailureReason.HANDLER, "it broke on: Say hello", retryable=True)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch, attempt_span, cancels)


def links(span: ReadableSpan) -> list[tuple[int, dict[str, object]]]:
    return [(link.context.span_id, dict(link.attributes or {})) for link in span.links]


async def stored_span(bench: Bench, number: int) -> int:
    """The id of the span that the store has of an attempt."""
    attempt = await bench.store.attempt("p-1.a", number)
    assert attempt is not None
    context = span_context_of(attempt.traceparent)
    assert context is not None
    return context.span_id


async def test_an_attempt_is_a_span_from_its_beginning_to_its_stored_end(bench: Bench, spans: Spans) -> None:
    bench.router.script(ASSIGNED, tokens(1, "Hel"), tokens(2, "lo"), RunReport(DONE, 2))
    with spans.tracer.start_as_current_span("RunActivity:run_step"):
        await bench.run()
    attempt, activity = spans.all
    assert hangs_on(attempt, activity)
    assert (attempt.name, attempt.status.status_code) == ("attempt a", StatusCode.UNSET)
    assert attributes(attempt) == {
        "devteam.task.id": "p-1.a",
        "devteam.task.attempt": 1,
        "devteam.plan.id": "p-1",
        "devteam.step.id": "a",
        "devteam.tenant": "default",
        "devteam.attempt.reason": "first attempt",
        "devteam.worker.id": "w1",
        "devteam.queue": "default",
        "devteam.outcome": "succeeded",
    }
    assert (links(attempt), events(attempt)) == ([], [])
    assert await stored_span(bench, 1) == context_of(attempt).span_id


async def test_the_dispatch_is_made_within_the_span(bench: Bench, spans: Spans) -> None:
    inside: list[str] = []

    async def look() -> None:
        inside.append(f"{get_current_span().get_span_context().span_id:x}")

    bench.router.script(look, ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    assert inside == [f"{context_of(spans.one('attempt a')).span_id:x}"]


async def test_the_next_attempt_says_why_it_was_begun_and_links_to_the_one_before(bench: Bench, spans: Spans) -> None:
    bench.router.script(ASSIGNED, RunLost(W1, "it went silent"))
    assert await bench.run() == StepOutcome(TaskState.QUEUED)
    bench.router.script(RunAssigned(W2, "default", "in turn"), RunReport(DONE, 0))
    await bench.run()
    first, second = spans.all
    assert (attributes(first)["devteam.outcome"], attributes(first)["error.type"]) == ("requeued", "worker_lost")
    assert first.status.status_code is StatusCode.ERROR
    assert attributes(second)["devteam.attempt.reason"] == "worker w1 was lost"
    assert attributes(second)["devteam.task.attempt"] == 2
    assert links(second) == [(context_of(first).span_id, {"devteam.link": "earlier attempt"})]
    assert await stored_span(bench, 2) == context_of(second).span_id


async def test_a_driver_that_takes_an_attempt_up_links_to_the_one_that_began_it(bench: Bench, spans: Spans) -> None:
    """A Planner was stopped in the middle; Temporal calls the activity again."""
    heard = asyncio.Event()

    async def stop_here() -> None:
        heard.set()
        await asyncio.Event().wait()

    bench.router.script(ASSIGNED, stop_here)
    running = asyncio.create_task(bench.run())
    await heard.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    bench.router.script(RunAssigned(W1, "default", "same", adopted=True), RunReport(DONE, 0))
    await bench.run()
    first, second = spans.all
    assert attributes(first)["devteam.outcome"] == "left"
    assert "devteam.attempt.reason" not in attributes(second)
    assert links(second) == [(context_of(first).span_id, {"devteam.link": "same attempt"})]
    assert events(second) == [("resumed", {}), ("adopted", {"devteam.worker.id": "w1"})]
    assert await stored_span(bench, 1) == context_of(first).span_id


async def test_an_attempt_that_moves_to_another_router_stays_one_span(bench: Bench, spans: Spans) -> None:
    bench.router.script(ASSIGNED, Unavailable("the line broke", reason="UNAVAILABLE"))
    bench.router.script(RouterGone("gone", reason="DRAINING"))
    bench.router.script(RunAssigned(W1, "default", "same", adopted=True), RunReport(DONE, 0))
    await bench.run()
    (attempt,) = spans.all
    assert events(attempt) == [
        ("dispatch interrupted", {"devteam.interruption": "UNAVAILABLE"}),
        ("dispatch interrupted", {"devteam.interruption": "DRAINING"}),
        ("adopted", {"devteam.worker.id": "w1"}),
    ]


async def test_an_attempt_that_somebody_else_ended_is_left(bench: Bench, spans: Spans) -> None:
    """And the next one, which this driver goes on with, is another span."""

    async def end_it() -> None:
        ending = Ending(TaskState.QUEUED, burns=True, failure=QUOTED)
        await bench.store.end_attempt("p-1.a", 1, W1, ending, bench.clock.now())

    bench.router.script(ASSIGNED, end_it, Aborted("somebody else", reason="FENCED"))
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    assert [attributes(span)["devteam.outcome"] for span in spans.all] == ["left", "succeeded"]
    assert [attributes(span)["devteam.task.attempt"] for span in spans.all] == [1, 2]


async def test_a_driver_that_was_too_late_to_begin_leaves_no_link_to_itself(bench: Bench, spans: Spans) -> None:
    begin = bench.store.begin_attempt

    async def slower(*args: object, **more: object) -> None:
        bench.store.begin_attempt = begin  # type: ignore[method-assign]  # once only
        await begin("p-1.a", after=0, reason="first attempt", now=bench.clock.now(), traceparent=OTHER)
        assert await begin(*args, **more) is None  # type: ignore[arg-type]  # as they came

    bench.store.begin_attempt = slower  # type: ignore[method-assign]  # somebody else is quicker
    bench.router.script(ASSIGNED, RunReport(DONE, 0))
    await bench.run()
    late, joined = spans.all
    assert attributes(late)["devteam.outcome"] == "left"
    assert links(joined) == [(0xB7AD6B7169203331, {"devteam.link": "same attempt"})]


OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_trail_of_a_cancel_is_in_the_attempts_span(bench: Bench, spans: Spans) -> None:
    bench.router.script(bench.cancel, ASSIGNED, RunCancelling(W1), RunReport(Cancelled(), 0))
    await bench.run()
    attempt = spans.one("attempt a")
    assert [name for name, _ in events(attempt)] == [
        "router told to cancel",
        "worker told to cancel",
        "cancel completed",
    ]
    assert attributes(attempt)["devteam.outcome"] == "cancelled"
    assert attempt.status.status_code is StatusCode.UNSET


async def test_an_attempt_that_costs_nothing_says_why(bench: Bench, spans: Spans) -> None:
    bench.router.script(ASSIGNED, RunReport(HandedBack("429", reason=GivenBack.RATE_LIMITED), 0))
    await bench.run()
    told = attributes(spans.one("attempt a"))
    assert (told["devteam.outcome"], told["devteam.attempt.given_back"]) == ("requeued", "rate_limited")


@pytest.mark.parametrize("outcome", [QUOTED, replace(QUOTED, retryable=False), HandedBack("I heard: Say hello")])
async def test_what_a_worker_says_of_its_failure_is_in_no_span(
    bench: Bench, spans: Spans, outcome: Failure | HandedBack
) -> None:
    bench.router.script(ASSIGNED, RunReport(outcome, 0))
    if await bench.run() == StepOutcome(TaskState.FAILED):
        assert attributes(spans.all[0])["devteam.outcome"] == "failed"
    else:
        bench.router.script(ASSIGNED, RunReport(DONE, 0))
        await bench.run()
        assert len(spans.all) == 2
    assert "Say hello" not in "".join(span.to_json() for span in spans.all)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("first attempt", "first attempt"),
        ("worker w1 was lost", "worker w1 was lost"),
        ("retry after handler: it broke on: Say hello", "retry after handler"),
        ("handed back by worker w1: it drains", "handed back by worker w1"),
    ],
)
def test_a_brief_reason_quotes_nobody(reason: str, expected: str) -> None:
    assert brief(reason) == expected


async def test_untraced_attempts_keep_no_span_and_ask_the_store_for_none(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunLost(W1, "it went silent"))
    await bench.run()
    attempt = await bench.store.attempt("p-1.a", 1)
    assert attempt is not None
    assert attempt.traceparent == ""


async def test_an_unsampled_attempt_goes_on_unseen_and_keeps_its_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = Spans(monkeypatch, attempt_span, sampled=False)
    for end in (RunLost(W1, "it went silent"), RunReport(DONE, 0)):
        bench.router.script(ASSIGNED, end)
        await bench.run()
    assert spans.all == []
    assert await stored_span(bench, 1) != await stored_span(bench, 2)


async def test_log_lines_within_an_attempt_carry_its_task_number_and_trace(bench: Bench, spans: Spans) -> None:
    log = structlog.get_logger()

    async def say() -> None:
        log.info("something happens")

    bench.router.script(say, ASSIGNED, RunReport(DONE, 0))
    with capture_logs(processors=[merge_contextvars, with_trace]) as logs:
        await bench.run()
        log.info("afterwards")
    within, after = logs
    trace_id = f"{context_of(spans.one('attempt a')).trace_id:032x}"
    assert (within["task_id"], within["attempt"], within["trace_id"]) == ("p-1.a", 1, trace_id)
    assert after.keys() == {"event", "log_level"}
