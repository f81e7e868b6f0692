"""The traces of a fake mesh."""

from collections.abc import Iterable
from typing import Any

from devteam.mesh.errors import NotFound
from devteam.trace_wire import span_to_proto
from devteam.traces import Span
from devteam.v1 import trace_pb2 as pb
from devteam.v1 import trace_pb2_grpc

_Context = Any


class FakeTraces(trace_pb2_grpc.TraceServiceServicer):
    """Shows the spans that it was given."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def keep(self, spans: Iterable[Span]) -> None:
        """Have these too."""
        self._spans += spans

    async def GetTrace(self, request: pb.GetTraceRequest, context: _Context) -> pb.GetTraceResponse:
        """The spans of one trace."""
        found = [span for span in self._spans if span.trace_id == request.trace_id]
        if not found:
            raise NotFound("trace", request.trace_id)
        return pb.GetTraceResponse(spans=map(span_to_proto, sorted(found, key=lambda span: span.start)))
