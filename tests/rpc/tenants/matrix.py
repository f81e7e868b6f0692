"""Every call that names a thing, made for one's own, for another tenant's, and for what is not there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
from devteam_registry.settings import Settings
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from devteam.mesh import names
from devteam.mesh.channel import open_channel
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.spans.collector import collecting
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, trace_pb2
from devteam.v1.trace_pb2_grpc import TraceServiceStub
from tests.fakes.callers import CALLERS, SERVICE, Believing, called
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.router_samples import a_worker
from tests.fakes.stored_spans import attribute, otlp_request, otlp_span
from tests.rpc.planner import mesh as planner
from tests.rpc.registry import mesh as registry
from tests.rpc.router import mesh as router

PATIENCE = 60.0
# Names that are as long as each other, so that answers differ in nothing but them.
OWN, OTHER, NONE = "acme", "globex", ""


@dataclass(frozen=True, slots=True)
class Case:
    """A call that names a thing of a `kind`, by a client, operator or worker of a tenant."""

    service: str
    method: str
    kind: str
    request: Message
    # The field that names it.
    name: str
    role: str = ""

    def __str__(self) -> str:
        more = [path for path, _ in self.request.ListFields()]
        return f"{self.method}{' '.join(['', *(found.name for found in more)])}"

    def naming(self, thing: str) -> Message:
        """The request for a thing of that name."""
        request = type(self.request)()
        request.CopyFrom(self.request)
        setattr(request, self.name, thing)
        return request


_CORDON = registry_pb2.UpdateWorkerRequest(
    update_mask=FieldMask(paths=["availability"]), availability=registry_pb2.AVAILABILITY_CORDONED
)
CASES = (
    Case("PlannerService", "GetTask", "task", planner_pb2.GetTaskRequest(), "task_id"),
    Case("PlannerService", "GetTask", "step", planner_pb2.GetTaskRequest(), "task_id"),
    Case("PlannerService", "WatchTask", "task", planner_pb2.WatchTaskRequest(), "task_id"),
    Case("PlannerService", "WatchTask", "task", planner_pb2.WatchTaskRequest(attempt=1, after_seq=9), "task_id"),
    Case("PlannerService", "WatchTask", "task", planner_pb2.WatchTaskRequest(cancel_on_disconnect=True), "task_id"),
    Case("PlannerService", "CancelTask", "task", planner_pb2.CancelTaskRequest(), "task_id"),
    Case("PlannerService", "CancelTask", "step", planner_pb2.CancelTaskRequest(), "task_id"),
    Case("PlannerService", "GetPlan", "plan", planner_pb2.GetPlanRequest(), "plan_id"),
    Case("PlannerService", "ListTasks", "plan", planner_pb2.ListTasksRequest(), "plan_id"),
    Case("PlannerService", "WatchPlan", "plan", planner_pb2.WatchPlanRequest(), "plan_id"),
    Case("PlannerService", "WatchPlan", "plan", planner_pb2.WatchPlanRequest(cancel_on_disconnect=True), "plan_id"),
    Case("PlannerService", "CancelPlan", "plan", planner_pb2.CancelPlanRequest(), "plan_id"),
    Case("RegistryService", "GetWorker", "worker", registry_pb2.GetWorkerRequest(), "worker_id"),
    Case("RegistryService", "GetWorker", "worker", registry_pb2.GetWorkerRequest(), "worker_id", "-worker"),
    Case(
        "RegistryService",
        "UpdateWorker",
        "worker",
        _CORDON,
        "worker_id",
        "-operator",
    ),
    Case(
        "RegistryService",
        "DeregisterWorker",
        "worker",
        registry_pb2.DeregisterWorkerRequest(instance_id="i9"),
        "worker_id",
        "-operator",
    ),
    Case(
        "RegistryService",
        "DeregisterWorker",
        "worker",
        registry_pb2.DeregisterWorkerRequest(instance_id="i1", session_token="guessed"),
        "worker_id",
        "-worker",
    ),
    Case(
        "RegistryService",
        "Heartbeat",
        "worker",
        registry_pb2.HeartbeatRequest(instance_id="i1", session_token="guessed"),
        "worker_id",
        "-worker",
    ),
    Case("RouterService", "Explain", "run", router_pb2.ExplainRequest(), "task_id"),
    Case("RouterService", "Explain", "placed", router_pb2.ExplainRequest(), "task_id"),
    Case("RouterService", "GetQueue", "queue", router_pb2.GetQueueRequest(), "name"),
    Case("RouterService", "GetQueue", "waited for", router_pb2.GetQueueRequest(), "name"),
    Case("TraceService", "GetTrace", "trace", trace_pb2.GetTraceRequest(), "trace_id"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, byte for byte, with the name that was asked for left out."""

    code: grpc.StatusCode
    message: str
    details: bytes
    body: bytes


@dataclass(slots=True)
class Tenants:
    """Every service with things of two tenants in it, `things` by kind and tenant, and a client of all."""

    planner: planner.Mesh
    registry: registry.Mesh
    router: router.Mesh
    traces: grpc.aio.Channel
    things: dict[str, dict[str, str]] = field(default_factory=dict)

    async def ask(self, case: Case, tenant: str, *, by: str = "acme") -> Answer:
        """What a caller of a tenant hears about a thing of a tenant, or of nobody."""
        thing = self.things[case.kind][tenant]
        call = getattr(self._stub(case), case.method)(case.naming(thing), metadata=called(f"{by}{case.role}"))
        try:
            async with asyncio.timeout(PATIENCE):
                body = await (call.read() if hasattr(call, "read") else call)
        except grpc.aio.AioRpcError as error:
            details = dict(cast("Mapping[str, bytes]", error.trailing_metadata())).get("grpc-status-details-bin", b"")
            message = (error.details() or "").replace(thing, "THING")
            return Answer(error.code(), message, details.replace(thing.encode(), b"THING"), b"")
        finally:
            call.cancel()
        return Answer(grpc.StatusCode.OK, "", b"", body.SerializeToString())

    def _stub(self, case: Case) -> Any:
        match case.service:
            case "PlannerService":
                return self.planner.stub
            case "RegistryService":
                return self.registry.stub
            case "RouterService":
                return self.router.stub
        return TraceServiceStub(self.traces)

    async def fill(self) -> None:
        """Have everything exist, of both tenants."""
        await self._fill_planner()
        for worker_id, name in (("w-1", OWN), ("w-2", OTHER)):
            request = registry_pb2.RegisterWorkerRequest(spec=registry.small_spec(worker_id), instance_id="i1")
            await self.registry.stub.RegisterWorker(request, metadata=called(f"{name}-worker"))
        self.things["worker"] = {OWN: "w-1", OTHER: "w-2", NONE: "w-3"}
        await self._fill_router()
        await self._fill_traces()

    async def _fill_planner(self) -> None:
        stub = self.planner.stub
        spec = planner_pb2.TaskSpec(prompt="hi", model="sim")
        of_task, of_plan = planner_pb2.CreateTaskRequest(task=spec), planner_pb2.CreatePlanRequest(name="research")
        of_plan.steps.append(planner.step("a"))
        tasks = {name: (await stub.CreateTask(of_task, metadata=called(name))).task.task_id for name in (OWN, OTHER)}
        plans = {name: (await stub.CreatePlan(of_plan, metadata=called(name))).plan.plan_id for name in (OWN, OTHER)}
        self.things["task"] = {**tasks, NONE: "t-9"}
        self.things["plan"] = {**plans, NONE: "p-9"}
        self.things["step"] = {name: f"{plan_id}.a" for name, plan_id in self.things["plan"].items()}

    async def _fill_router(self) -> None:
        self.things["placed"] = {OWN: "t-1", OTHER: "t-2", NONE: "t-9"}
        self.things["run"] = {OWN: "t-3", OTHER: "t-4", NONE: "t-9"}
        self.things["queue"] = {OWN: "q-1", OTHER: "q-2", NONE: "q-9"}
        self.things["waited for"] = {OWN: "q-3", OTHER: "q-4", NONE: "q-9"}
        for tenant in (OWN, OTHER):
            queue = self.things["queue"][tenant]
            await self.router.worker(a_worker(f"w-{tenant}", queues={queue: 1}, tenant=tenant))
            for kind, named in (("placed", queue), ("run", self.things["waited for"][tenant])):
                run = router.a_run(self.things[kind][tenant], queue=named, tenant=tenant)
                await self.router.dispatch(run).hear()

    async def _fill_traces(self) -> None:
        self.things["trace"] = {name: f"{number:032x}" for number, name in enumerate((OWN, OTHER, NONE), 1)}
        await self.export(SERVICE, OWN, OWN, span=1)
        await self.export(SERVICE, OTHER, OTHER, span=2)

    async def export(self, by: str, tenant_of_trace: str, says: str, *, span: int, parent: int = 0) -> None:
        """A caller brings a span that says whose it is, into the trace of a tenant."""
        trace_id = bytes.fromhex(self.things["trace"][tenant_of_trace])
        attributes = [attribute(names.TENANT, string_value=says)] if says else []
        above = parent.to_bytes(8, "big") if parent else b""
        told = otlp_span(span, trace_id=trace_id, attributes=attributes, parent_span_id=above)
        call: Any = self.traces.unary_unary(
            names.EXPORT_SPANS, request_serializer=ExportTraceServiceRequest.SerializeToString
        )
        await call(otlp_request(told), metadata=called(by))

    async def trace(self, tenant: str, *, by: str) -> set[str]:
        """The names of the spans that a caller sees in the trace of a tenant."""
        request = trace_pb2.GetTraceRequest(trace_id=self.things["trace"][tenant])
        answer = await TraceServiceStub(self.traces).GetTrace(request, metadata=called(by))
        return {span.name for span in answer.spans}


@asynccontextmanager
async def tenants(clock: FakeClock, folder: Path, **more: Any) -> AsyncIterator[Tenants]:
    """All services, each on a server of its own that believes callers, filled; `more` is the Registry's."""
    believing = Believing(CALLERS)
    settings = Settings(database_url="memory")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        of_planner = await enter(planner.running(clock, authorizer=believing))
        of_registry = await enter(registry.running(settings, clock, authorizer=believing, **more))
        of_router = await enter(router.running(clock, authorizer=believing))
        server = MeshServer(Listen(port=0, stop_grace=0.5), CountingIds(), believing)
        stack.enter_context(collecting(server, folder / "traces.db"))
        port = await server.start()
        stack.push_async_callback(server.stop)
        traces = await enter(open_channel(f"http://127.0.0.1:{port}"))
        everything = Tenants(of_planner, of_registry, of_router, traces)
        await everything.fill()
        yield everything
