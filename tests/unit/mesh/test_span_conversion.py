"""What of OTLP is kept, and within which bounds."""

import json
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from devteam.mesh.spans.otlp import MAX_SPANS, taken_from_request
from devteam.mesh.spans.values import attributes_from_otlp
from devteam.trace_wire import span_from_proto
from devteam.traces import Span, SpanKind
from devteam.v1 import trace_pb2
from tests.fakes.stored_spans import BEGIN, TRACE, attribute, otlp_request, otlp_span


def taken(span: OtlpSpan, **resource: str) -> Span:
    [record] = taken_from_request(otlp_request(span, **resource)).records
    assert (record.trace_id, record.span_id, record.start) == (span.trace_id, span.span_id, span.start_time_unix_nano)
    return span_from_proto(trace_pb2.Span.FromString(record.data))


def test_a_span_keeps_all_that_it_says() -> None:
    link = OtlpSpan.Link(trace_id=b"t" * 16, span_id=b"s" * 8, attributes=[attribute("why", string_value="again")])
    event = OtlpSpan.Event(name="requeued", time_unix_nano=BEGIN + 5_000, attributes=[attribute("n", int_value=2)])
    span = taken(
        otlp_span(
            parent_span_id=b"\0" * 7 + b"\7",
            kind=OtlpSpan.SPAN_KIND_CONSUMER,
            attributes=[attribute("devteam.task.id", string_value="t-1")],
            events=[event],
            links=[link],
            status=Status(code=Status.STATUS_CODE_ERROR, message="worker lost"),
        ),
        service_name="devteam-worker",
        host_name="asus",
        service_instance_id="w-1",
        telemetry_sdk_name="left out",
    )
    assert (span.trace_id, span.parent_id, span.kind) == (TRACE, "0000000000000007", SpanKind.CONSUMER)
    assert (span.service, span.failed, span.error) == ("devteam-worker", True, "worker lost")
    assert span.attributes == {"devteam.task.id": "t-1", "host.name": "asus", "service.instance.id": "w-1"}
    assert (span.duration.total_seconds(), span.start.timestamp()) == (0.001, BEGIN / 1e9)
    assert [(event.name, event.time.microsecond, event.attributes) for event in span.events] == [
        ("requeued", 5, {"n": "2"})
    ]
    assert [(link.trace_id, link.span_id, link.attributes) for link in span.links] == [
        (b"t".hex() * 16, b"s".hex() * 8, {"why": "again"})
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AnyValue(string_value="5"), "5"),
        (AnyValue(int_value=-(2**63)), "-9223372036854775808"),
        (AnyValue(double_value=1.0), "1.0"),
        (AnyValue(double_value=float("nan")), "nan"),
        (AnyValue(bool_value=True), "true"),
        (AnyValue(bytes_value=b"\0\xff"), "AP8="),
        (AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="ä"), AnyValue(int_value=1)])), '["ä",1]'),
        (AnyValue(kvlist_value=KeyValueList(values=[attribute("k", bool_value=False)])), '{"k":false}'),
        (AnyValue(), "null"),
    ],
)
def test_values_that_are_no_text_become_json(value: AnyValue, text: str) -> None:
    pair = attribute("key")
    pair.value.CopyFrom(value)
    assert taken(otlp_span(attributes=[pair])).attributes == {"key": text}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"trace_id": b""}, "trace_id must"),
        ({"trace_id": b"\0" * 16}, "trace_id must"),
        ({"trace_id": b"x" * 17}, "trace_id must"),
        ({"span_id": b"short"}, "span_id must"),
        ({"span_id": b"\0" * 8}, "span_id must"),
        ({"parent_span_id": b"longer than 8"}, "parent_span_id must"),
        ({"start_time_unix_nano": 0}, "start_time_unix_nano and"),
        ({"end_time_unix_nano": 2**64 - 1}, "start_time_unix_nano and"),
    ],
)
def test_what_is_wrong_is_counted_and_the_rest_is_kept(wrong: dict[str, Any], complaint: str) -> None:
    told = taken_from_request(otlp_request(otlp_span(1, **wrong), otlp_span(2)))
    assert (len(told.records), told.refused) == (1, 1)
    assert told.why.startswith(f"1 x {complaint}")


def test_odd_but_harmless_things_are_put_right() -> None:
    """A clock that was set back, a kind that nobody knows, a parent and a link that are none, an event at no time."""
    span = taken(
        otlp_span(
            end_time_unix_nano=1,
            kind=99,
            parent_span_id=b"\0" * 8,
            links=[OtlpSpan.Link(trace_id=b"short", span_id=b"s" * 8)],
            events=[OtlpSpan.Event(name="late", time_unix_nano=2**64 - 1)],
        )
    )
    assert (span.duration.total_seconds(), span.kind, span.parent_id, span.links) == (0, SpanKind.UNKNOWN, "", ())
    assert span.events[0].time.year == 2262


def test_a_span_that_says_too_much_says_less() -> None:
    """128 attributes of 4 KiB, 128 events and links, and no more than a megabyte of it all."""
    much = [attribute(f"{number:03d}{'k' * 300}", string_value="ä" * 9_000) for number in range(500)]
    event = OtlpSpan.Event(name="e" * 10_000, attributes=much[:20])
    link = OtlpSpan.Link(trace_id=b"t" * 16, span_id=b"s" * 8)
    wild = otlp_span(name="n" * 10_000, attributes=much, events=[event] * 200, links=[link] * 200)
    [record] = taken_from_request(otlp_request(wild, service_name="s" * 10_000)).records
    span = span_from_proto(trace_pb2.Span.FromString(record.data))
    assert len(record.data) < 1024 * 1024
    assert (len(span.attributes), len(span.name), len(span.service)) == (128, 512, 512)
    assert {len(key) for key in span.attributes} == {256}
    assert {len(value.encode()) for value in span.attributes.values()} <= {4_095, 4_096}
    assert 0 < len(span.events) <= 128
    assert len(span.links) == 128


def test_what_a_model_was_asked_and_said_has_more_room() -> None:
    """And none of that is without a bound."""
    said = "ä" * 9_000
    kept = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"}
    kept |= {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}
    told = [attribute(name, string_value=said) for name in (*kept, "gen_ai.other")]
    span = taken(otlp_span(attributes=told))
    assert {name for name, value in span.attributes.items() if value == said} == kept
    span = taken(otlp_span(attributes=[attribute(name, string_value=said * 10) for name in kept]))
    assert {len(value.encode()) for value in span.attributes.values()} <= {32_767, 32_768}


def test_no_more_is_read_than_can_be_kept() -> None:
    """However often a span says the same thing."""
    pairs = iter([attribute("again", int_value=number) for number in range(1_000)])
    assert attributes_from_otlp(pairs) == {"again": "127"}
    assert len(list(pairs)) == 1_000 - 128


def test_where_it_came_from_is_told_only_where_there_is_room() -> None:
    full = [attribute(str(number), int_value=number) for number in range(128)]
    assert "host.name" not in taken(otlp_span(attributes=full), host_name="asus").attributes


def test_a_request_may_hold_so_many_spans() -> None:
    told = taken_from_request(otlp_request(*[otlp_span(number + 1) for number in range(MAX_SPANS + 3)]))
    assert (len(told.records), told.refused, told.why) == (MAX_SPANS, 3, "3 x a request may hold 10000 spans")


def test_values_nested_as_deep_as_a_message_may_be_are_bounded_too() -> None:
    value = AnyValue(string_value="deep")
    for _ in range(40):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    pair = attribute("key")
    pair.value.CopyFrom(value)
    assert json.loads(taken(otlp_span(attributes=[pair])).attributes["key"])[0] != ""
