"""Spans on the wire: a mesh takes those of its workers and clients, and shows them by their trace."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer as OtlpServicer,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    add_TraceServiceServicer_to_server as add_otlp_servicer,
)

from devteam.mesh.access.caller import current_caller
from devteam.mesh.errors import InvalidInput, NotFound, Violation
from devteam.mesh.server import MeshServer
from devteam.mesh.spans.otlp import Taken, taken_from_request
from devteam.mesh.spans.ownership import mark_of, seen_by
from devteam.mesh.spans.store import SpanStore
from devteam.mesh.spans.turns import Turns
from devteam.v1 import trace_pb2 as pb
from devteam.v1.trace_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server

_Result = TypeVar("_Result")

SERVICE = pb.DESCRIPTOR.services_by_name["TraceService"].full_name
OTLP_SERVICE = otlp.DESCRIPTOR.services_by_name["TraceService"].full_name

_MAX_SPANS = 10_000
_MAX_ANSWER_BYTES = 3 * 1024 * 1024
# Of a span in a list: its field number, and its length.
_FRAME_BYTES = 8
# What counts as a span, if spans are larger.
_UNIT_BYTES = 1024


@contextmanager
def collecting(server: MeshServer, file: Path | None, turns: Turns | None = None) -> Iterator[None]:
    """Have `server` take spans and show them, out of `file`, until the block ends; without a file it does neither.

    `turns` bounds what each caller may send; None: only what all of them do.
    """
    if file is None:
        yield
        return
    store = SpanStore(file)
    add_otlp_servicer(Collector(store, turns or Turns()), server.server)  # type: ignore[no-untyped-call]  # generated, without types
    add_TraceServiceServicer_to_server(Traces(store), server.server)
    server.serve([SERVICE, OTLP_SERVICE])
    try:
        yield
    finally:
        store.close()


class Collector(OtlpServicer):
    """OTLP's TraceService: takes spans of whoever may call this mesh."""

    def __init__(self, store: SpanStore, turns: Turns) -> None:
        self._store = store
        self._turns = turns

    async def Export(  # noqa: N802 - the contract's name
        self, request: otlp.ExportTraceServiceRequest, _context: object
    ) -> otlp.ExportTraceServiceResponse:
        """Keep what can be kept; OTLP tells of the rest in `partial_success`."""
        caller = current_caller()
        async with self._turns.of(caller.subject, partial(_cost, request)):
            taken = await _to_its_end(partial(self._keep, request, mark_of(caller)))
        answer = otlp.ExportTraceServiceResponse()
        if taken.refused:
            answer.partial_success.rejected_spans = taken.refused
            answer.partial_success.error_message = taken.why
        return answer

    def _keep(self, request: otlp.ExportTraceServiceRequest, mark: str | None) -> Taken:
        taken = taken_from_request(request, mark)
        if taken.records:
            self._store.add(taken.records)
        return taken


def _cost(request: otlp.ExportTraceServiceRequest) -> float:
    """As many as it has spans, or KiB: what only looks like spans is read, too."""
    spans = sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans)
    return max(spans, request.ByteSize() / _UNIT_BYTES)


class Traces(TraceServiceServicer):
    """The contract's TraceService."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    async def GetTrace(self, request: pb.GetTraceRequest, context: object) -> pb.GetTraceResponse:  # noqa: N802 - as above
        """All spans of a trace that the caller may see, by their start."""
        trace_id = _trace_id_from(request)
        async with self._turn:
            answer = await _to_its_end(partial(self._read, trace_id, current_caller().tenant))
        if not answer.spans:
            raise NotFound("trace", request.trace_id)
        return answer

    def _read(self, trace_id: bytes, whose: str) -> pb.GetTraceResponse:
        answer, size = pb.GetTraceResponse(), 0
        for data in self._spans_for(trace_id, whose):
            size += len(data) + _FRAME_BYTES
            if len(answer.spans) == _MAX_SPANS or size > _MAX_ANSWER_BYTES:
                answer.truncated = True
                break
            answer.spans.add().MergeFromString(data)
        return answer

    def _spans_for(self, trace_id: bytes, whose: str) -> Sequence[bytes]:
        """The spans in the order of their starts; for one tenant, of all that are kept those that it may see."""
        if not whose:
            return self._store.spans_of(trace_id, _MAX_SPANS + 1)
        kept = self._store.spans_of(trace_id, self._store.bounds.trace_spans)
        return [span.SerializeToString() for span in seen_by([*map(pb.Span.FromString, kept)], whose)]


async def _to_its_end(work: Callable[[], _Result]) -> _Result:
    """Work in a thread; a caller that gave up keeps its turn until that thread is free again."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _trace_id_from(request: pb.GetTraceRequest) -> bytes:
    try:
        trace_id = bytes.fromhex(request.trace_id)
    except ValueError:
        trace_id = b""
    # Of bytes.fromhex alone, spaces between digits would pass.
    if len(trace_id) != 16 or len(request.trace_id) != 32:
        raise InvalidInput(Violation("trace_id", "ID_FORMAT", "must be 32 hexadecimal digits"))
    return trace_id
