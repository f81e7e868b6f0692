"""An OTLP collector."""

import asyncio

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class MetricsCollector(rpc.MetricsServiceServicer):
    """Takes metrics as an OTLP collector does."""

    def __init__(self) -> None:
        self.requests: list[pb.ExportMetricsServiceRequest] = []

    async def Export(self, request: pb.ExportMetricsServiceRequest, context: object) -> pb.ExportMetricsServiceResponse:
        self.requests.append(request)
        return pb.ExportMetricsServiceResponse()

    def mount(self, server: grpc.aio.Server) -> None:
        """Be a service of this server."""
        rpc.add_MetricsServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated

    @property
    def last(self) -> dict[str, list[int]]:
        """The values of the last request, by name."""
        return {
            metric.name: [point.as_int for point in (*metric.sum.data_points, *metric.gauge.data_points)]
            for resource in self.requests[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class SpanCollector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as an OTLP collector does."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[trace_service_pb2.ExportTraceServiceRequest] = asyncio.Queue()

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.came.put_nowait(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def mount(self, server: grpc.aio.Server) -> None:
        """Be a service of this server."""
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated
