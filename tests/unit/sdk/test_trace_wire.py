"""What the contract's traces become."""

from datetime import UTC, datetime, timedelta

from devteam.trace_wire import span_from_proto, span_to_proto, trace_from_proto
from devteam.traces import Span, SpanEvent, SpanKind, SpanLink
from devteam.v1 import trace_pb2

START = datetime(2026, 11, 26, 4, 30, 0, 123456, tzinfo=UTC)
FULL = Span(
    id="1" * 16,
    trace_id="2" * 32,
    name="run task",
    start=START,
    end=START + timedelta(microseconds=1),
    parent_id="3" * 16,
    kind=SpanKind.CONSUMER,
    service="devteam-worker",
    attributes={"devteam.task.id": "t"},
    events=(SpanEvent("cancel heard", START, {"by": "me"}),),
    links=(SpanLink("4" * 32, "5" * 16, {"why": "again"}),),
    failed=True,
    error="lost",
)


def test_a_span_comes_back_as_it_went() -> None:
    assert span_from_proto(span_to_proto(FULL)) == FULL
    bare = Span("1" * 16, "2" * 32, "n", START, START)
    assert span_from_proto(span_to_proto(bare)) == bare


def test_a_trace_says_whether_there_is_more() -> None:
    trace = trace_from_proto("2" * 32, trace_pb2.GetTraceResponse(spans=[span_to_proto(FULL)], truncated=True))
    assert (trace.id, trace.spans, trace.truncated) == ("2" * 32, (FULL,), True)


def test_a_kind_newer_than_this_client_is_unknown() -> None:
    assert span_from_proto(trace_pb2.Span(kind=99)).kind is SpanKind.UNKNOWN  # type: ignore[arg-type]  # what a newer mesh may say
