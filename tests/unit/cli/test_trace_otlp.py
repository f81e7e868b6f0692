"""A trace as other tools import it."""

import base64
import json
from typing import Any

from devteam_cli.trace_otlp import otlp_json
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from devteam.traces import SpanEvent, SpanKind
from tests.fakes.traces import TRACE, moment, plan_spans, span


def in_base64(node: Any) -> Any:
    """The one thing in which OTLP's JSON differs from protobuf's: ids are hexadecimal."""
    if isinstance(node, list):
        return [in_base64(item) for item in node]
    if not isinstance(node, dict):
        return node
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else in_base64(value)
        for key, value in node.items()
    }


def parsed(document: dict[str, Any]) -> TracesData:
    """What opentelemetry-proto reads, unknown fields refused."""
    return json_format.ParseDict(in_base64(json.loads(json.dumps(document))), TracesData())


def test_every_span_is_read_as_what_it_is() -> None:
    data = parsed(otlp_json(plan_spans()))
    services = [group.resource.attributes[0].value.string_value for group in data.resource_spans]
    assert services == ["devteam", "devteam-worker"]
    read = {one.span_id.hex(): one for group in data.resource_spans for one in group.scope_spans[0].spans}
    assert len(read) == 9
    for told in plan_spans():
        one = read[told.id]
        assert (one.trace_id.hex(), one.parent_span_id.hex(), one.name) == (TRACE, told.parent_id, told.name)
        assert one.start_time_unix_nano == round(told.start.timestamp() * 1e6) * 1000
        assert one.end_time_unix_nano - one.start_time_unix_nano == round(told.duration.total_seconds() * 1e9)
        assert (one.status.code == 2, one.status.message) == (told.failed, told.error)
        assert (len(one.events), len(one.links)) == (len(told.events), len(told.links))
    assert read[f"{1:016x}"].kind == 2
    assert read[f"{6:016x}"].links[0].span_id.hex() == f"{3:016x}"


def test_the_encoding_is_that_of_otlp() -> None:
    """Hexadecimal ids, enums as numbers, 64-bit numbers as texts."""
    document: Any = otlp_json([span(1, "x", 0, 1, kind=SpanKind.CONSUMER, events=(SpanEvent("e", moment(1)),))])
    [group] = document["resourceSpans"]
    [one] = group["scopeSpans"][0]["spans"]
    assert (one["traceId"], one["spanId"], one["kind"]) == (TRACE, "0000000000000001", 5)
    assert one["startTimeUnixNano"] == "1795667400000000000"
    assert one["events"][0]["timeUnixNano"] == "1795667400001000000"


def test_values_have_the_type_that_they_read_as() -> None:
    values = {
        "text": "5 apples", "int": "5", "double": "0.25", "bool": "true", "list": '["a",1]', "map": '{"k":[]}',
        "quoted": '"a"', "huge": str(2**64), "nan": "NaN", "null": "null", "empty": "",
    }  # fmt: skip
    [group] = parsed(otlp_json([span(1, "x", 0, 1, attributes=values)])).resource_spans
    read = {pair.key: pair.value for pair in group.scope_spans[0].spans[0].attributes}
    kinds = {key: str(value.WhichOneof("value")).removesuffix("_value") for key, value in read.items()}
    assert kinds == {
        "text": "string", "int": "int", "double": "double", "bool": "bool", "list": "array", "map": "kvlist",
        "quoted": "string", "huge": "string", "nan": "string", "null": "string", "empty": "string",
    }  # fmt: skip
    assert (read["int"].int_value, read["double"].double_value, read["quoted"].string_value) == (5, 0.25, '"a"')
    assert read["nan"].string_value == "NaN"


def test_where_spans_came_from_is_told_of_their_process() -> None:
    origin = {"service.instance.id": "w-1", "host.name": "asus"}
    spans = [span(1, "x", 0, 1, attributes=origin | {"a": "b"}), span(2, "y", 0, 1)]
    first, second = parsed(otlp_json(spans)).resource_spans
    assert {pair.key for pair in first.resource.attributes} | {pair.key for pair in second.resource.attributes} == {
        "service.name", "service.instance.id", "host.name",
    }  # fmt: skip
    assert [pair.key for group in (first, second) for pair in group.scope_spans[0].spans[0].attributes] == ["a"]
