"""Spans of the gateway, in places that have a collector."""

import asyncio
from pathlib import Path

import grpc
from devteam_cli.gateway.place import Address

from tests.fakes.echoing_mesh import echoing_mesh
from tests.fakes.gateway import PATIENCE, gateway, place_of
from tests.fakes.otlp_collector import SpanCollector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Envoy sends spans in batches of five.
CALLS = 5


async def test_its_span_stands_between_the_callers_and_the_services(folder: Path) -> None:
    collector, server = SpanCollector(), grpc.aio.server()
    collector.mount(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with echoing_mesh() as mesh:
        place = place_of(mesh.port, collector=Address("127.0.0.1", port))
        async with gateway(place, folder) as door, door.http() as http, asyncio.timeout(PATIENCE):
            for _ in range(CALLS):
                await http.get("/api/tasks/t-1", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
            [told] = (await collector.came.get()).resource_spans
        heard = [call.metadata["traceparent"].split("-") for call in mesh.calls]
    await server.stop(None)
    names = {it.key: it.value.string_value for it in told.resource.attributes}
    spans = [span for scope in told.scope_spans for span in scope.spans]
    assert names["service.name"] == "devteam-gateway"
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in spans} == {(TRACE, PARENT)}
    assert {(trace, flags) for _, trace, _, flags in heard} == {(TRACE, "01")}
    assert {span.span_id.hex() for span in spans} <= {span for _, _, span, _ in heard}
