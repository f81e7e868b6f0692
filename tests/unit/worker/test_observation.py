"""What a run leaves in a trace and in the log."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from devteam_worker import observation
from devteam_worker.domain import AttemptId, Completed, Failed
from devteam_worker.elsewhere import OwnersLoop, begin_in_thread
from devteam_worker.observation import observed
from devteam_worker.providers.base import FailureReason
from devteam_worker.runs import Runs
from opentelemetry.trace import SpanKind
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from devteam.mesh.logs import with_trace
from tests.fakes.agent_script import PATIENCE, ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock
from tests.fakes.spans import Spans, attributes, events, hangs_on

T1 = AttemptId("t1", 1)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CARRIED = replace(an_assignment(), trace_context={"traceparent": f"00-{TRACE}-{PARENT}-01"})
DONE = Completed("sim", "sim", "end_turn")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch, observation)


def test_a_runs_span_goes_on_with_the_trace_that_came_with_it_and_tells_how_it_ended(spans: Spans) -> None:
    with observed(CARRIED) as seen:
        seen.ended(Failed(FailureReason.HANDLER, "it said: What is new?"), 2)
    span = spans.one("run s1")
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.kind is SpanKind.CONSUMER
    assert attributes(span) == {
        "devteam.task.id": "t1",
        "devteam.task.attempt": 1,
        "devteam.plan.id": "p1",
        "devteam.step.id": "s1",
        "devteam.queue": "default",
        "devteam.outcome": "failed",
        "devteam.run.tokens": 2,
        "error.type": "HANDLER",
    }
    assert "What is new?" not in span.to_json()


def test_a_run_that_nobody_traces_begins_a_trace_whatever_happens_around_it(spans: Spans) -> None:
    """Its stream's reader may be in a trace of its own."""
    with spans.tracer.start_as_current_span("the stream"), observed(an_assignment()) as seen:
        seen.ended(DONE, 0)
    assert spans.one("run s1").parent is None


def test_log_lines_within_a_run_carry_its_task_and_its_trace(spans: Spans) -> None:
    with capture_logs(processors=[merge_contextvars, with_trace]) as logs, observed(CARRIED) as seen:
        seen.ended(DONE, 1)
    assert [(line["event"], line["task_id"], line["attempt"], line["trace_id"]) for line in logs] == [
        ("run started", "t1", 1, TRACE),
        ("run ended", "t1", 1, TRACE),
    ]


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def runs(agent: ScriptedAgent, clock: FakeClock) -> AsyncIterator[Runs]:
    async with Runs(agent, lambda _: None, clock, window_bytes=1024) as runs:
        yield runs


async def over(runs: Runs) -> None:
    """Wait until the run has ended."""
    item = runs.get(T1)
    assert item is not None
    assert item.task is not None
    async with asyncio.timeout(PATIENCE):
        await item.task


async def test_a_runs_span_tells_when_the_cancel_was_heard_and_the_model_closed(
    runs: Runs, agent: ScriptedAgent, spans: Spans
) -> None:
    runs.start(an_assignment())
    await agent.started()
    runs.cancel(T1, fenced=False)
    runs.cancel(T1, fenced=False)
    await over(runs)
    assert [event for event, _ in events(spans.one("run s1"))] == ["cancel heard", "model closed"]


async def test_a_runs_span_tells_that_it_went_on_after_a_reconnect(
    runs: Runs, agent: ScriptedAgent, spans: Spans
) -> None:
    """Once: a gap that is asked for again cut nothing off."""
    runs.start(an_assignment())
    play = await agent.started()
    runs.silence()
    runs.resume(T1, 0)
    runs.resume(T1, 0)
    play.end()
    await over(runs)
    assert [event for event, _ in events(spans.one("run s1"))] == ["resumed"]


async def test_what_the_owners_own_code_traces_hangs_on_the_run(spans: Spans) -> None:
    """Its handlers and tools run in another thread's loop, or in threads of their own."""

    def trace() -> None:
        spans.tracer.start_span("theirs").end()

    async def traced() -> None:
        trace()

    loop = OwnersLoop()
    loop.start()
    with observed(CARRIED) as seen:
        await loop.begin(traced()).outcome()
        await begin_in_thread(trace, "tool")
        seen.ended(DONE, 0)
    loop.stop()
    *theirs, run = spans.all
    assert [(span.name, hangs_on(span, run)) for span in theirs] == [("theirs", True)] * 2
