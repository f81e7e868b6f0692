"""Sends the spans of this process to the mesh that it talks to anyway."""

import time
from collections.abc import Callable, Iterator, Sequence

import grpc
import structlog
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from devteam.mesh import names, options
from devteam.mesh.channel import credentials, open_blocking_channel
from devteam.mesh.errors import FailedPrecondition, ResourceExhausted
from devteam.mesh.status import from_rpc
from devteam.mesh.tls import TlsFiles

_log = structlog.get_logger()

# Seconds that a mesh may take for a batch, and that the end of a process may wait for all that are left.
PATIENCE = 2.0
# Seconds without a try once a mesh was away, or had said that it keeps no spans.
_PAUSE = 60.0
_MAX_BYTES = options.MAX_MESSAGE_BYTES - 64 * 1024


class MeshExporter(SpanExporter):
    """Sends spans to the mesh at `url`, in the thread that the SDK exports from, over a connection of its own.

    Spans that the mesh does not take are dropped, and so are all that follow for a minute; where it takes too many, for
    as long as it says.
    """

    def __init__(
        self, url: str, api_key: str = "", tls: TlsFiles | None = None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._tls = tls
        self._metadata = credentials(api_key)
        self._now = now
        self._silent_until = 0.0
        self._end = float("inf")
        self._channel: grpc.Channel | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send `spans`, or drop them."""
        sent = [self._send(request) for request in _requests(spans)]
        return SpanExportResult.SUCCESS if all(sent) else SpanExportResult.FAILURE

    def hurry(self) -> None:
        """The process ends: send what is left within two seconds, and drop the rest."""
        self._end = self._now() + PATIENCE

    def shutdown(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _send(self, request: ExportTraceServiceRequest) -> bool:
        now = self._now()
        timeout = min(PATIENCE, self._end - now)
        if now < self._silent_until or timeout <= 0:
            return False
        try:
            self._call()(request, timeout=timeout, metadata=self._metadata)
        except (grpc.RpcError, FailedPrecondition) as error:
            pause = _pause(error)
            self._silent_until = now + pause
            _log.debug("the mesh takes no spans", mesh=self._url, code=str(_code(error)), again_after=pause)
            # The next connection shows and trusts what the certificate files hold then.
            self.shutdown()
            return False
        return True

    def _call(self) -> "grpc.UnaryUnaryMultiCallable[ExportTraceServiceRequest, ExportTraceServiceResponse]":
        if self._channel is None:
            self._channel = open_blocking_channel(self._url, self._tls)
        return self._channel.unary_unary(
            names.EXPORT_SPANS,
            request_serializer=ExportTraceServiceRequest.SerializeToString,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )


def _requests(spans: Sequence[ReadableSpan]) -> Iterator[ExportTraceServiceRequest]:
    """The spans in as few messages as fit through; one that is too large by itself is left out."""
    request = encode_spans(spans)
    if request.ByteSize() <= _MAX_BYTES:
        yield request
    elif len(spans) > 1:
        middle = len(spans) // 2
        yield from _requests(spans[:middle])
        yield from _requests(spans[middle:])


def _pause(error: Exception) -> float:
    told = from_rpc(error) if isinstance(error, grpc.RpcError) else error
    return told.retry_after if isinstance(told, ResourceExhausted) else _PAUSE


def _code(error: Exception) -> grpc.StatusCode:
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
