"""What operators have done can be read afterwards; what they said cannot."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.protobuf.field_mask_pb2 import FieldMask

from devteam.mesh.access.caller import Role
from devteam.mesh.access.key import mint
from devteam.mesh.access.rules import RULES
from devteam.v1 import access_pb2, planner_pb2, registry_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import MESH_KEY, METHODS, PATIENCE, GuardedMesh, guarded_mesh

CANCEL = "/devteam.v1.PlannerService/CancelTask"
UPDATE = "/devteam.v1.RegistryService/UpdateQueue"
KEY = "/devteam.v1.AccessService/CreateKey"
JOIN = "/devteam.v1.AccessService/JoinWorker"
ERASE = "/devteam.v1.PlannerService/EraseTenant"
WATCH_TASK, WATCH_PLAN = "/devteam.v1.PlannerService/WatchTask", "/devteam.v1.PlannerService/WatchPlan"
HERE = ("x-forwarded-for", "192.0.2.7")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def lines(file: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def made(mesh: GuardedMesh, path: str, key: str, request: Any) -> None:
    call = mesh.call(path, key, HERE, request=request.SerializeToString())
    await (call.read() if METHODS[path].server_streaming else call)


async def test_each_call_that_changes_something_for_others_is_one_line(clock: FakeClock, file: Path) -> None:
    async with guarded_mesh(clock, audit_file=file) as mesh:
        key = mesh.key(Role.OPERATOR, name="Ann", tenant="acme")
        await made(mesh, CANCEL, key, planner_pb2.CancelTaskRequest(task_id="t-1"))
        await mesh.outcome("/devteam.v1.PlannerService/GetTask", key)
        pause = registry_pb2.QueuePolicy(name="gpu", paused=True)
        await made(mesh, UPDATE, key, registry_pb2.UpdateQueueRequest(policy=pause, update_mask=mask("paused")))
    who = {"by": "Ann", "by_key": key.split("_")[1], "by_role": "operator", "by_tenant": "acme"}
    when = {"time": clock.now().isoformat(), "peer": "192.0.2.7", "outcome": "OK"}
    assert lines(file) == [
        {**when, **who, "method": "devteam.v1.PlannerService/CancelTask", "task_id": "t-1"},
        {**when, **who, "method": "devteam.v1.RegistryService/UpdateQueue", **PAUSED},
    ]


PAUSED = {"queue": "gpu", "paused": True, "update_mask": ["paused"]}


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


async def test_what_was_refused_is_told_too_with_the_reason(clock: FakeClock, file: Path) -> None:
    """Of those who are known: a stranger writes nothing into this file."""
    async with guarded_mesh(clock, audit_file=file) as mesh:
        for key in ("", mint("a").secret, mesh.key(Role.CLIENT)):
            await mesh.outcome(KEY, key, HERE)
    (line,) = lines(file)
    assert (line["by_role"], line["outcome"], line["reason"]) == ("client", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


async def test_neither_secrets_nor_anything_but_names_are_told(clock: FakeClock, file: Path) -> None:
    async with guarded_mesh(clock, audit_file=file) as mesh:
        slip = mint("w").secret
        spec = access_pb2.KeySpec(name="canary", tenant="acme", worker_id=slip)
        await made(mesh, KEY, MESH_KEY, access_pb2.CreateKeyRequest(spec=spec))
        await made(mesh, JOIN, "", access_pb2.JoinWorkerRequest(token="canary", worker_id="w1" * 1_000))
    created, joined = lines(file)
    assert (created["by"], created["tenant"], created["worker_id"]) == ("mesh key", "acme", f"{slip[:13]}[hidden]")
    assert (joined["by"], len(joined["worker_id"])) == ("stranger", 256)
    assert "canary" not in str(lines(file))


@pytest.mark.parametrize("watch", [WATCH_TASK, WATCH_PLAN])
async def test_a_watch_is_told_of_where_its_end_cancels(clock: FakeClock, file: Path, watch: str) -> None:
    """Of others nothing is told: they change nothing."""
    request: Any = {WATCH_TASK: planner_pb2.WatchTaskRequest(task_id="t-1")}.get(
        watch, planner_pb2.WatchPlanRequest(plan_id="t-1")
    )
    async with guarded_mesh(clock, audit_file=file) as mesh:
        key = mesh.key(Role.OPERATOR)
        for cancels in (False, True):
            request.cancel_on_disconnect = cancels
            call = mesh.call(watch, key, HERE, request=request.SerializeToString())
            await call.read()
            call.cancel()
        async with asyncio.timeout(PATIENCE):
            while not lines(file):  # noqa: ASYNC110 - a file has no event for it
                await asyncio.sleep(0.01)
    (line,) = lines(file)
    assert (line["outcome"], line["cancel_on_disconnect"]) == ("CANCELLED", True)
    assert "t-1" in (line.get("task_id"), line.get("plan_id"))


async def test_a_stream_is_told_of_when_it_ends(clock: FakeClock, file: Path) -> None:
    async with guarded_mesh(clock, audit_file=file) as mesh:
        request = planner_pb2.EraseTenantRequest(tenant="acme").SerializeToString()
        call = mesh.call(ERASE, mesh.key(Role.ADMIN), HERE, request=request)
        await call.read()
        assert lines(file) == []
        call.cancel()
        async with asyncio.timeout(PATIENCE):
            while not lines(file):  # noqa: ASYNC110 - a file has no event for it
                await asyncio.sleep(0.01)
    assert [(line["tenant"], line["outcome"]) for line in lines(file)] == [("acme", "CANCELLED")]


async def test_what_strangers_are_refused_with_fills_no_disk(clock: FakeClock, file: Path) -> None:
    """Nor what a key is refused with because it comes too often; the first of a minute is told."""
    async with guarded_mesh(clock, audit_file=file, writes_per_second=0.1, writes_burst=2) as mesh:
        client = mesh.key(Role.CLIENT, name="Bo")
        for _ in range(20):
            await mesh.outcome(JOIN, "", HERE)
            await mesh.outcome(CANCEL, client, HERE)
        told = [(line["by"], line["outcome"]) for line in lines(file)]
        assert Counter(told) == {(who, what): how for who in ("stranger", "Bo") for what, how in SOME.items()}


SOME = {"OK": 2, "RESOURCE_EXHAUSTED": 1}


async def test_what_a_role_may_not_do_counts_against_its_rate(clock: FakeClock, file: Path) -> None:
    """Each such call is a line: they are no way to fill a disk either."""
    async with guarded_mesh(clock, audit_file=file, writes_per_second=0.1, writes_burst=2) as mesh:
        client = mesh.key(Role.CLIENT)
        for _ in range(20):
            await mesh.outcome(KEY, client, HERE)
    assert [line["reason"] for line in lines(file)] == ["ROLE_NOT_ALLOWED", "ROLE_NOT_ALLOWED", "RATE_LIMITED"]


async def test_without_a_file_the_log_has_it_and_without_keys_anyone_did_it(clock: FakeClock) -> None:
    async with guarded_mesh(clock, keys=False) as mesh:
        with structlog.testing.capture_logs() as logs:
            await made(mesh, CANCEL, "", planner_pb2.CancelTaskRequest(task_id="t-1"))
    (line,) = [entry for entry in logs if entry["event"] == "audited call"]
    assert (line["by"], line["task_id"], line["outcome"]) == ("anyone", "t-1", "OK")


@pytest.mark.parametrize("torn", [False, True])
async def test_a_full_disk_fails_no_call_and_the_log_has_the_line(
    clock: FakeClock, file: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    """Also where half of it found room."""
    async with guarded_mesh(clock, audit_file=file) as mesh:
        key = mesh.key(Role.CLIENT)
        with monkeypatch.context() as full, structlog.testing.capture_logs() as logs:
            full.setattr(os, "write", half_written if torn else not_written)
            await made(mesh, CANCEL, key, planner_pb2.CancelTaskRequest(task_id="t-1"))
        await made(mesh, CANCEL, key, planner_pb2.CancelTaskRequest(task_id="t-2"))
    (line,) = [entry for entry in logs if entry["event"] == "the audit log cannot be written"]
    assert (line["task_id"], line["error"], line["log_level"]) == ("t-1", "No space left on device", "error")
    assert [line["task_id"] for line in lines(file)] == ["t-2"]


def not_written(descriptor: int, data: bytes) -> int:
    raise OSError(28, "No space left on device")


def half_written(descriptor: int, data: bytes) -> int:
    with open(descriptor, "ab", closefd=False) as opened:
        return opened.write(data[: len(data) // 2])


async def test_lines_of_calls_at_the_same_time_do_not_mix(clock: FakeClock, file: Path) -> None:
    async with guarded_mesh(clock, audit_file=file) as mesh:
        key = mesh.key(Role.CLIENT)
        requests = [planner_pb2.CancelTaskRequest(task_id=f"t-{number}") for number in range(50)]
        await asyncio.gather(*(made(mesh, CANCEL, key, request) for request in requests))
    assert {line["task_id"] for line in lines(file)} == {request.task_id for request in requests}


def test_whatever_an_operator_can_do_to_others_is_audited() -> None:
    """And nothing that happens by itself, again and again."""
    audited = {method.rpartition("/")[2] for method, rule in RULES.items() if rule.audited}
    assert audited == {
        *("CancelTask", "CancelPlan", "EraseTenant", "DeregisterWorker", "UpdateWorker", "UpdateRouting"),
        *("UpdateQueue", "CreateKey", "RevokeKey", "CreateJoinToken", "JoinWorker"),
    }
    by_flag = {method.rpartition("/")[2]: rule.audited_if for method, rule in RULES.items() if rule.audited_if}
    assert by_flag == dict.fromkeys(("WatchTask", "WatchPlan"), "cancel_on_disconnect")
