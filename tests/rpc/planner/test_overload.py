"""What a Planner says when enough is under way, and to whom."""

from typing import Any

import grpc
import pytest
from devteam_planner.admission import Bounds
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from devteam.mesh.errors import InvalidInput, ResourceExhausted
from devteam.v1 import planner_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.rpc.planner.mesh import Mesh, refusal, running, step

DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure)


def a_task(queue: str = "gpu", request_id: str = "") -> pb.CreateTaskRequest:
    return pb.CreateTaskRequest(task=pb.TaskSpec(prompt="hi", model="sim", queue=queue), request_id=request_id)


def of(tenant: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that names this tenant."""
    return (("devteam-tenant", tenant),)


async def details_of(call: Any) -> dict[str, Any]:
    """The details that a call is refused with, by the names of their messages."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]  # an AioRpcError will do
    assert isinstance(status, status_pb2.Status)
    found = {}
    for packed in status.details:
        for kind in DETAILS:
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found


class TestTenant:
    async def test_a_create_without_one_is_the_default_ones(self, mesh: Mesh) -> None:
        assert (await mesh.create(step("a"))).tenant == "default"
        assert (await mesh.stub.CreateTask(a_task())).task.tenant == "default"

    async def test_what_the_metadata_says_is_kept_with_plan_and_tasks(self, mesh: Mesh) -> None:
        request = pb.CreatePlanRequest(name="research", steps=[step("a"), step("b")])
        created = (await mesh.stub.CreatePlan(request, metadata=of("acme"))).plan
        assert [created.tenant, *(task.tenant for task in created.tasks)] == ["acme"] * 3
        fetched = await mesh.stub.GetTask(pb.GetTaskRequest(task_id=created.tasks[0].task_id))
        assert fetched.task.tenant == "acme"

    @pytest.mark.parametrize("tenant", ["a b", "x" * 65, "a/b", "a:b"])
    async def test_a_name_that_is_none_is_refused(self, mesh: Mesh, tenant: str) -> None:
        code, error = await refusal(mesh.stub.CreateTask(a_task(), metadata=of(tenant)))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [(violation.field, violation.reason) for violation in error.violations] == [
            ("devteam-tenant", "ID_FORMAT")
        ]

    async def test_each_tenant_has_its_own_request_ids(self, mesh: Mesh) -> None:
        first = (await mesh.stub.CreateTask(a_task(request_id="r-1"), metadata=of("acme"))).task
        other = (await mesh.stub.CreateTask(a_task("cpu", request_id="r-1"), metadata=of("other"))).task
        again = (await mesh.stub.CreateTask(a_task(request_id="r-1"), metadata=of("acme"))).task
        assert first.task_id == again.task_id != other.task_id


class TestFull:
    async def test_a_full_queue_refuses_with_all_a_program_needs_and_stores_nothing(self, clock: FakeClock) -> None:
        async with running(clock, bounds=Bounds(per_queue=2)) as mesh:
            for _ in range(2):
                await mesh.stub.CreateTask(a_task())
            details = await details_of(mesh.stub.CreateTask(a_task()))
            assert details["ErrorInfo"].reason == "QUEUE_FULL"
            assert details["RetryInfo"].retry_delay.ToSeconds() >= 5
            (violation,) = details["QuotaFailure"].violations
            assert violation.subject == "queue:gpu"
            listed = await mesh.stub.ListTasks(pb.ListTasksRequest())
            assert len(listed.tasks) == len(mesh.workflows.started) == 2
            assert (await mesh.stub.CreateTask(a_task("cpu"))).task.task_id

    async def test_a_full_tenant_leaves_room_for_others(self, clock: FakeClock) -> None:
        async with running(clock, bounds=Bounds(per_tenant=3)) as mesh:
            plan = pb.CreatePlanRequest(name="research", steps=[step("a"), step("b")])
            await mesh.stub.CreatePlan(plan, metadata=of("acme"))
            code, error = await refusal(mesh.stub.CreatePlan(plan, metadata=of("acme")))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert isinstance(error, ResourceExhausted)
            assert (error.reason, error.retry_after) == ("TENANT_FULL", 7.5)
            assert "'acme' holds 2 tasks that have not ended" in error.message
            await mesh.stub.CreatePlan(plan, metadata=of("other"))

    async def test_a_known_request_is_answered_all_the_same(self, clock: FakeClock) -> None:
        async with running(clock, bounds=Bounds(per_queue=1)) as mesh:
            first = (await mesh.stub.CreateTask(a_task(request_id="r-1"))).task
            for _ in range(3):
                assert (await mesh.stub.CreateTask(a_task(request_id="r-1"))).task.task_id == first.task_id
            code, _ = await refusal(mesh.stub.CreateTask(a_task(request_id="r-2")))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED

    async def test_repeats_take_no_room(self, clock: FakeClock) -> None:
        async with running(clock, bounds=Bounds(per_queue=5)) as mesh:
            for _ in range(4):
                await mesh.stub.CreateTask(a_task(request_id="r-1"))
            for n in range(4):
                await mesh.stub.CreateTask(a_task(request_id=f"s-{n}"))

    async def test_there_is_room_again_when_something_has_ended(self, clock: FakeClock) -> None:
        async with running(clock, bounds=Bounds(per_queue=1)) as mesh:
            task = (await mesh.stub.CreateTask(a_task())).task
            await mesh.begin(task.task_id)
            await mesh.succeed(task.task_id, "done")
            clock.advance(1.0)
            await mesh.stub.CreateTask(a_task())
