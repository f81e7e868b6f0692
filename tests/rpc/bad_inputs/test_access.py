"""Rows 32 to 36 and 50: who calls, with real keys over TLS."""

from typing import Any

import pytest

from devteam.mesh.access.key import mint
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, worker_pb2
from devteam.v1.access_pb2_grpc import AccessServiceStub
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from devteam.v1.registry_pb2_grpc import RegistryServiceStub
from devteam.v1.worker_pb2_grpc import WorkerServiceStub
from tests.rpc.bad_inputs.table import answer_to, row
from tests.rpc.registry.mesh import small_spec
from tests.rpc.secured import MESH_KEY, Secured

# Well formed, of somebody else's making: one without a signature, one that is signed.
_JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."


async def listing(mesh: Secured, key: str, *metadata: tuple[str, str]) -> tuple[str, str, str]:
    stub = PlannerServiceStub(await mesh.line(key))
    return await answer_to(stub.ListTasks(planner_pb2.ListTasksRequest(), metadata=metadata))


async def connecting(mesh: Secured, key: str) -> tuple[str, str, str]:
    """A worker's stream has no interceptor to show its key."""
    stub: Any = WorkerServiceStub(await mesh.line(key))
    call = stub.Connect(iter([worker_pb2.ConnectRequest()]), metadata=(("authorization", f"Bearer {key}"),))
    return await answer_to(call.read())


async def revoked(mesh: Secured) -> str:
    key = await mesh.key("client", "acme")
    access = AccessServiceStub(await mesh.line(MESH_KEY))
    await access.RevokeKey(access_pb2.RevokeKeyRequest(key_id=key.split("_")[1]))
    return key


async def test_no_key(guarded: Secured) -> None:
    assert await listing(guarded, "") == row(32).answer


@pytest.mark.parametrize("shown", ["mistyped", "unknown", "revoked", "jwt", "basic"])
async def test_a_key_that_is_not_valid(guarded: Secured, shown: str) -> None:
    match shown:
        case "mistyped":
            key = await guarded.key("client", "acme")
            assert await listing(guarded, f"{key[:-1]}{'1' if key[-1] != '1' else '2'}") == row(33).answer
        case "unknown":
            assert await listing(guarded, mint("a").secret) == row(33).answer
        case "revoked":
            assert await listing(guarded, await revoked(guarded)) == row(33).answer
        case "jwt":
            assert await listing(guarded, _JWT) == row(33).answer
        case "basic":
            assert await listing(guarded, "", ("authorization", "Basic cm9vdDpyb290")) == row(33).answer


async def test_a_role_that_may_not(guarded: Secured) -> None:
    """A call with one answer, and a stream."""
    client, worker = await guarded.key("client", "acme"), await guarded.key("worker", "acme")
    assert await listing(guarded, worker) == row(34).answer
    assert await connecting(guarded, client) == row(34).answer


async def test_another_tenants_things(guarded: Secured) -> None:
    acme = PlannerServiceStub(await guarded.line(await guarded.key("client", "acme")))
    globex = PlannerServiceStub(await guarded.line(await guarded.key("client", "globex")))
    spec = planner_pb2.TaskSpec(prompt="what nobody else shall read", model="sim")
    task = (await acme.CreateTask(planner_pb2.CreateTaskRequest(task=spec))).task
    for call in (
        globex.GetTask(planner_pb2.GetTaskRequest(task_id=task.task_id)),
        globex.CancelTask(planner_pb2.CancelTaskRequest(task_id=task.task_id)),
        globex.WatchTask(planner_pb2.WatchTaskRequest(task_id=task.task_id)).read(),
        globex.GetPlan(planner_pb2.GetPlanRequest(plan_id=task.plan_id)),
    ):
        assert await answer_to(call) == row(35).answer
    assert not (await globex.ListTasks(planner_pb2.ListTasksRequest())).tasks


async def test_another_keys_worker(guarded: Secured) -> None:
    """Of one tenant, of two, and with a token that somebody may make who is of another one."""
    request = registry_pb2.RegisterWorkerRequest(spec=small_spec(), instance_id="i1")
    first = RegistryServiceStub(await guarded.line(await guarded.key("worker", "acme")))
    await first.RegisterWorker(request)
    for tenant in ("acme", "globex", ""):
        other = RegistryServiceStub(await guarded.line(await guarded.key("worker", tenant)))
        assert await answer_to(other.RegisterWorker(request)) == row(36).answer
    operator = AccessServiceStub(await guarded.line(await guarded.key("operator", "globex")))
    token = (await operator.CreateJoinToken(access_pb2.CreateJoinTokenRequest())).token
    nobody = AccessServiceStub(await guarded.line())
    join = nobody.JoinWorker(access_pb2.JoinWorkerRequest(token=token, worker_id="w1"))
    assert await answer_to(join) == row(36).answer


async def test_too_many_creates(guarded: Secured) -> None:
    stub = PlannerServiceStub(await guarded.line(await guarded.key("client", "acme")))
    spec = planner_pb2.TaskSpec(prompt="hi", model="sim")
    answers = [await answer_to(stub.CreateTask(planner_pb2.CreateTaskRequest(task=spec))) for _ in range(4)]
    assert answers == [("OK", "", "")] * 3 + [row(50).answer]
