"""A trace inside messages and tables."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags

from devteam.mesh.trace_context import span_context_of, trace_id_of, traceparent_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SPAN = NonRecordingSpan(SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=TraceFlags(1)))


def test_what_a_message_carried_names_its_trace() -> None:
    assert trace_id_of({"traceparent": PARENT}) == "0af7651916cd43dd8448eb211c80319c"


def test_an_unsampled_trace_has_an_id_too() -> None:
    assert trace_id_of({"traceparent": PARENT[:-1] + "0"}) == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("carrier", [{}, {"traceparent": "x"}, {"traceparent": "00-1-2-01"}])
def test_what_carried_nothing_is_in_no_trace_whatever_happens_around_it(carrier: dict[str, str]) -> None:
    with trace.use_span(SPAN):
        assert trace_id_of(carrier) == ""


def test_a_span_that_is_kept_as_text_can_be_linked_to() -> None:
    kept = traceparent_of(SPAN)
    assert kept == "00-000000000000000000000000000000ab-00000000000000cd-01"
    found = span_context_of(kept)
    assert found is not None
    assert (found.trace_id, found.span_id) == (0xAB, 0xCD)


def test_no_span_is_kept_as_nothing() -> None:
    assert traceparent_of(INVALID_SPAN) == ""
    assert span_context_of("") is None
