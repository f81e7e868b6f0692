"""A tenant that is forgotten, over the wire."""

import asyncio

import grpc
import pytest

from devteam.mesh.access.caller import Caller, Role, calling
from devteam.mesh.channel import TENANT_KEY
from devteam.mesh.errors import InvalidInput
from devteam.mesh.interceptors.auth import Authorizer
from devteam.mesh.interceptors.call import Call
from devteam.v1 import planner_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch
from tests.rpc.planner.mesh import Mesh, events, refusal, running, step

ACME = ((TENANT_KEY, "acme"),)


async def erased(mesh: Mesh, tenant: str = "acme") -> list[pb.EraseTenantResponse]:
    """All that is told, while time passes."""
    call = asyncio.create_task(events(mesh.stub.EraseTenant(pb.EraseTenantRequest(tenant=tenant))))
    while not call.done():
        mesh.clock.advance(0.5)
        await asyncio.sleep(0.01)
    return list(await call)


async def test_what_ran_is_stopped_and_all_is_gone(mesh: Mesh) -> None:
    request = pb.CreatePlanRequest(name="research", steps=[step("a"), step("b")])
    plan = (await mesh.stub.CreatePlan(request, metadata=ACME)).plan
    other = await mesh.create(step("a"))
    await mesh.begin(plan.tasks[0].task_id)
    await mesh.say(plan.tasks[0].task_id, a_batch(1, "secret"))
    watching = mesh.stub.WatchPlan(pb.WatchPlanRequest(plan_id=plan.plan_id))
    first = await anext(aiter(watching))
    assert first.plan.plan_id == plan.plan_id
    told = await erased(mesh)
    assert (told[0].waiting_for, told[0].plans) == (1, 0)
    assert (told[-1].plans, told[-1].tasks, told[-1].waiting_for, told[-1].done) == (1, 2, 0, True)
    assert mesh.workflows.cancelled == mesh.workflows.forgotten == [plan.plan_id]
    code, _ = await refusal(mesh.stub.GetPlan(pb.GetPlanRequest(plan_id=plan.plan_id)))
    assert code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await events(watching)
    assert ended.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await mesh.stub.GetPlan(pb.GetPlanRequest(plan_id=other.plan_id))).plan.plan_id == other.plan_id


@pytest.mark.parametrize(("tenant", "reason"), [("", "REQUIRED"), ("a b", "ID_FORMAT"), ("x" * 65, "ID_FORMAT")])
async def test_a_tenant_that_is_none_is_refused(mesh: Mesh, tenant: str, reason: str) -> None:
    code, error = await refusal(anext(aiter(mesh.stub.EraseTenant(pb.EraseTenantRequest(tenant=tenant)))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidInput)
    assert [violation.field for violation in error.violations] == ["tenant"]


async def test_a_tenants_own_admin_erases_no_other_tenant(clock: FakeClock) -> None:
    class OfAcme(Authorizer):
        async def authorize(self, call: Call) -> Caller:
            return Caller(Role.ADMIN, key_id="k1", tenant="acme")

    async with running(clock, authorizer=OfAcme()) as mesh:
        with calling(Caller(Role.ADMIN)):
            code, error = await refusal(anext(aiter(mesh.stub.EraseTenant(pb.EraseTenantRequest(tenant="other")))))
        assert (code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_NOT_ALLOWED")
        assert (await erased(mesh, "acme"))[-1].done
