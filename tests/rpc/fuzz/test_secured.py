"""Any bytes, over TLS and with keys, straight and through the real Envoy: nobody hears more than is theirs."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest
import pytest_asyncio

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from devteam.mesh.channel import open_channel
from devteam.mesh.redaction import hidden
from devteam.mesh.tls import TlsFiles
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.fakes.gateway import Gateway, gateway, place_of
from tests.fakes.guarded_mesh import path_of
from tests.rpc.fuzz.broken_http import GRPC_WEB, RAW, REQUESTS, said, spoken
from tests.rpc.fuzz.storm import _LEAK, random_for, share, storm
from tests.rpc.secured import Secured, secured

# How fast the answers came is read with: pytest --log-cli-level INFO
log = logging.getLogger(__name__)

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

CANARY = "canary-of-globex-5150"
CONTRACTS = (access_pb2, planner_pb2, registry_pb2, router_pb2, trace_pb2)
WORDS: Mapping[str, Sequence[Any]] = {
    "seconds": [1, 60],
    "nanos": [0],
    "model": ["sim"],
    "queue": ["", "default"],
    "name": ["default", "ci"],
    "prompt": ["Say hello"],
    "worker_id": ["w1", "w2"],
    "instance_id": ["i1"],
    "tenant": ["", "acme", "globex"],
    "page_token": [""],
}
# Statuses of HTTP that say that something behind the door went wrong.
DEFECTS = {500, 502, 504}
NO_DEADLINE = '"message":"Error parsing \'grpc-timeout\' metadata"'


@dataclass(frozen=True, slots=True)
class Besieged:
    """A mesh with something of another tenant in it, its front door, and keys."""

    mesh: Secured
    door: Gateway
    keys: Mapping[str, str]
    task_id: str

    def channel(self, url: str, key: str) -> Any:
        return open_channel(url, api_key=self.keys[key], tls=self.mesh.trusting)

    @asynccontextmanager
    async def http(self, key: str = "client") -> AsyncIterator[httpx.AsyncClient]:
        """A client of its JSON API, over TLS."""
        trusting = ssl.create_default_context(cafile=str(self.mesh.tls.ca))
        shown = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        async with self.door.http(verify=trusting, headers=shown) as client:
            yield client

    async def works(self) -> None:
        """A task is taken, straight and through the door, and the other tenant's is as it was."""
        for url in (self.mesh.url, self.door.url):
            async with self.channel(url, "client") as line:
                spec = planner_pb2.TaskSpec(prompt="Say hello", model="sim")
                made = await PlannerServiceStub(line).CreateTask(planner_pb2.CreateTaskRequest(task=spec))
                assert made.task.tenant == "acme"
        async with self.channel(self.mesh.url, "globex") as line:
            request = planner_pb2.GetTaskRequest(task_id=self.task_id)
            assert (await PlannerServiceStub(line).GetTask(request)).task.spec.prompt == CANARY


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def besieged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Besieged]:
    unlimited: dict[str, Any] = dict.fromkeys(("creates_per_second", "reads_per_second", "writes_per_second"), 0)
    async with secured(tmp_path_factory.mktemp("mesh"), streams_per_key=0, **unlimited) as mesh:
        keys = {role: await mesh.key(role, "acme") for role in ("client", "worker", "operator", "admin")}
        keys["globex"] = await mesh.key("client", "globex")
        stub = PlannerServiceStub(await mesh.line(keys["globex"]))
        spec = planner_pb2.TaskSpec(prompt=CANARY, model="sim")
        task = (await stub.CreateTask(planner_pb2.CreateTaskRequest(task=spec))).task
        folder = tmp_path_factory.mktemp("gateway")
        place = place_of(mesh.port, certificate=mesh.tls, upstream=TlsFiles(), rate=100_000)
        async with gateway(place, folder) as door:
            yield Besieged(mesh, door, keys, task.task_id)


def methods(role: Role | None = None) -> list[Any]:
    """Of all services; what `role` may call, if one is given. Without the one that erases what the tests look for."""
    found = [
        method
        for file in CONTRACTS
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name != "EraseTenant"
    ]
    return [method for method in found if role is None or role in RULES[path_of(method)].roles]


async def pause() -> None:
    """Nothing is due between two lots."""


@pytest.mark.parametrize("role", ["client", "worker", "operator", "admin"])
async def test_any_request_over_tls_with_a_key(besieged: Besieged, frames: int, role: str) -> None:
    words = {**WORDS, "task_id": [besieged.task_id, "t-none"], "plan_id": [besieged.task_id]}
    async with besieged.channel(besieged.mesh.url, role) as line:
        wind = storm(f"over TLS as {role}", line, methods(), words)
        await wind.blow(share("over TLS", frames) // 4, pause)
    log.info("%s", wind.answers.judge())
    await besieged.works()


async def test_any_request_through_envoy(besieged: Besieged, frames: int) -> None:
    words = {**WORDS, "task_id": [besieged.task_id, "t-none"], "plan_id": [besieged.task_id]}
    async with besieged.channel(besieged.door.url, "operator") as line:
        wind = storm("through Envoy", line, methods(Role.OPERATOR), words)
        await wind.blow(share("through Envoy", frames), pause)
    log.info("%s", wind.answers.judge())
    await besieged.works()


def fault(answer: httpx.Response | str) -> str:
    """What is wrong with an answer: it tells something, or is a defect. Empty: nothing."""
    status = int(said(answer).split()[1]) if isinstance(answer, str) else answer.status_code
    text = answer if isinstance(answer, str) else f"{answer.text}{answer.headers}"
    # The transcoder names the contract's own types; and gRPC takes a deadline that is none for a defect of its own.
    text = text.replace("type.googleapis.com/google.protobuf.", "")
    if CANARY not in text and NO_DEADLINE in text:
        return ""
    if CANARY in text or '"INTERNAL"' in text or status in DEFECTS:
        return f"{status}: {text[:500]}"
    leak = _LEAK.search(text)
    return f"{status} tells {leak.group()!r}: {text[:500]}" if leak else ""


async def test_requests_of_http_that_are_wrong(besieged: Besieged) -> None:
    """By whoever has a key of another tenant, and by strangers."""
    faults = []
    for key in ("client", ""):
        async with besieged.http(key) as http:
            for method, path, body, headers in REQUESTS:
                where = path.replace("TASK", besieged.task_id)
                answer = await http.request(method, where, content=body, headers=headers)
                if found := fault(answer):
                    faults.append((method, path[:80], body[:80], headers, found))
    assert not faults, "\n".join(map(str, faults))
    await besieged.works()


async def test_frames_of_grpc_web_that_are_wrong(besieged: Besieged) -> None:
    """What is not whole is waited for, as long as the front door waits."""

    async def answered(http: httpx.AsyncClient, frame: bytes, kind: str) -> str:
        headers = {"content-type": kind, "x-grpc-web": "1"}
        try:
            answer = await http.post(
                "/devteam.v1.PlannerService/GetTask", content=frame, headers=headers, timeout=httpx.Timeout(20, read=3)
            )
        except httpx.ReadTimeout:
            return ""
        return fault(answer) or ("taken" if answer.headers.get("grpc-status") == "0" else "")

    kinds = ("application/grpc-web+proto", "application/grpc-web-text")
    async with besieged.http() as http:
        sent = [(frame, kind) for frame in GRPC_WEB for kind in kinds]
        found = await asyncio.gather(*(answered(http, *what) for what in sent))
    assert [(what, why) for what, why in zip(sent, found, strict=True) if why] == []
    await besieged.works()


async def test_bytes_that_are_hardly_http(besieged: Besieged) -> None:
    """What no client would send: two lengths, folded headers, a request in a request."""
    key, task, port = besieged.keys["client"].encode(), besieged.task_id.encode(), besieged.door.place.listen.port
    asked = [raw.replace(b"KEY", key).replace(b"TASK", task) for raw in RAW]
    answers = await asyncio.gather(*(spoken(port, besieged.mesh.folder / "certs" / "ca.pem", raw) for raw in asked))
    faults = [
        (raw[:80], fault(answer)) for raw, told in zip(RAW, answers, strict=True) for answer in told if fault(answer)
    ]
    assert not faults, "\n".join(map(str, faults))
    # Nobody was shown a list of keys, whatever hid the request for it.
    assert not any('"keyId"' in answer for told in answers for answer in told)
    await besieged.works()


async def test_bodies_of_json_at_random(besieged: Besieged, frames: int) -> None:
    """A good one, broken in one place after the other."""
    dice = random_for("JSON")
    good = {"task": {"prompt": "Say hello", "model": "sim", "placement": {"priority": 3}}, "requestId": ""}
    faults = {}
    async with besieged.http() as http:
        for _ in range(share("JSON", frames)):
            body = broken(json.dumps(good).encode(), dice)
            answer = await http.post("/api/tasks", content=body, headers={"content-type": "application/json"})
            if found := fault(answer):
                faults[found[:80]] = body
    assert faults == {}
    await besieged.works()


def broken(data: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(data))
    inserted = dice.choice(
        (b"", b"{", b"[" * 200, b'"', b"\\u0000", b"\xff\xfe", b"1e999", b"-", b"null", b'"a":1,', b"\x00", b"9" * 400)
    )
    return data[:place] + inserted + data[place + dice.randrange(6) :]


async def test_no_key_is_in_what_envoy_has_written(besieged: Besieged) -> None:
    text = besieged.door.lines()
    assert [key for key in besieged.keys.values() if key in text] == []
    assert hidden(text) == text
