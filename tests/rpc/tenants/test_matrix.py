"""What is another tenant's answers as what does not exist, byte for byte, however it is asked for."""

import asyncio
import re
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, trace_pb2
from tests.rpc.tenants.matrix import CASES, NONE, OTHER, OWN, Answer, Case, Tenants

# By these a request names something that is somebody's.
NAMES = {"task_id", "plan_id", "worker_id", "trace_id", "name"}
# That refuses what is not the worker's own as what needs a registration.
BY_SESSION = {"Heartbeat", "DeregisterWorker"}


def naming_methods() -> set[str]:
    """The methods which people or workers may call, and that name a thing."""
    files = (planner_pb2, registry_pb2, router_pb2, trace_pb2)
    return {
        method.name
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if names_a_thing(method) and RULES[f"/{service.full_name}/{method.name}"].roles - {Role.SERVICE}
    }


def names_a_thing(method: MethodDescriptor) -> bool:
    return bool(NAMES & {field.name for field in method.input_type.fields} - made_by(method))


def made_by(method: MethodDescriptor) -> set[str]:
    """A name that the caller gives to something new."""
    return {"name"} if method.name == "CreatePlan" else set()


def test_every_call_that_names_a_thing_is_in_the_matrix() -> None:
    assert naming_methods() == {case.method for case in CASES}


def test_the_page_about_tenants_tells_of_every_call() -> None:
    """And of every reason that tenants are refused for."""
    page = (Path(__file__).parents[3] / "docs/tenants.md").read_text()
    told = {*re.findall(r"`([A-Za-z_]+)`", page)}
    assert {case.method for case in CASES} - told == set()
    assert {"TENANT_NOT_ALLOWED", "QUEUE_NOT_ALLOWED", "WORKER_ID_BOUND", "NOT_ASSIGNED"} <= told


async def test_anothers_thing_and_none_answer_the_same(mesh: Tenants) -> None:
    """And one's own does not: the matrix asks for what is there."""
    leaks, unasked = [], []
    for case in CASES:
        other, none = await asyncio.gather(mesh.ask(case, OTHER), mesh.ask(case, NONE))
        if other != none:
            leaks.append((str(case), other, none))
        if case.method != "ListTasks" and other.code is not grpc.StatusCode.NOT_FOUND:
            unasked.append((str(case), other))
        own = await mesh.ask(case, OWN)
        if is_like(own, none, case):
            unasked.append((str(case), own))
    assert leaks == []
    assert unasked == []


def is_like(own: Answer, none: Answer, case: Case) -> bool:
    """Whether one's own is refused, too: by no more than a session that was guessed, a cursor, or a stale instance."""
    if own.code is grpc.StatusCode.OK:
        return own == none
    return own.code is grpc.StatusCode.NOT_FOUND and case.method not in BY_SESSION


async def test_nothing_has_become_of_what_others_asked_for(mesh: Tenants) -> None:
    """Neither by cancels, nor by watches that cancel, nor by operators."""
    for case in CASES:
        await mesh.ask(case, OTHER)
    for kind in ("task", "step"):
        task = await mesh.planner.store.task(mesh.things[kind][OTHER])
        assert task.cancel_trail is None
    for case in CASES:
        if case.method in {"GetWorker", "GetTask", "GetPlan"}:
            assert (await mesh.ask(case, OTHER, by=OTHER)).code is grpc.StatusCode.OK
    view = mesh.registry.stub.GetWorker(registry_pb2.GetWorkerRequest(worker_id=mesh.things["worker"][OTHER]))
    assert (await view).worker.availability == registry_pb2.AVAILABILITY_OPEN


async def test_those_of_no_tenant_find_everything(mesh: Tenants) -> None:
    """Operators of the whole mesh, and everybody on a mesh without keys."""
    for case in CASES:
        if case.method in {"GetTask", "GetPlan", "GetTrace", "Explain", "GetQueue"} and not case.role:
            for tenant in (OWN, OTHER):
                assert (await mesh.ask(case, tenant, by="operator")).code is grpc.StatusCode.OK, str(case)
