"""Which calls are spans."""

import pytest

from devteam.mesh import names
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2

FILES = (access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2, worker_pb2)


def methods() -> set[str]:
    """Every method of the mesh."""
    return {
        f"/{service.full_name}/{method.name}"
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def test_every_call_that_is_left_out_exists() -> None:
    assert names.UNTRACED - methods() == set()


def test_what_does_the_work_of_a_task_is_traced() -> None:
    traced = {method.rpartition("/")[2] for method in methods() if names.is_traced(method)}
    assert {"CreateTask", "CreatePlan", "CancelPlan", "Dispatch", "CancelDispatch", "RegisterWorker"} <= traced


@pytest.mark.parametrize(
    "method",
    [
        "/devteam.v1.WorkerService/Connect",
        "/devteam.v1.PlannerService/WatchPlan",
        "/devteam.v1.RegistryService/Heartbeat",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/externalscaler.ExternalScaler/GetMetrics",
    ],
)
def test_what_looks_on_or_repeats_for_ever_is_not(method: str) -> None:
    assert not names.is_traced(method)
