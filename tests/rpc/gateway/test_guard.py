"""Who is refused at the door: pages of elsewhere, foreign names, and those who call too often."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from devteam_cli.gateway.folder import GatewayFolder, write
from devteam_cli.gateway.place import Address

from devteam.v1 import planner_pb2, planner_pb2_grpc
from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import PATIENCE, Gateway, gateway, place_of, replaced

pytestmark = pytest.mark.asyncio(loop_scope="module")

_APP = "https://app.example"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil:80"])
async def test_a_foreign_page_cannot_make_a_browser_run_work(
    mesh: EchoingMesh, http: httpx.AsyncClient, origin: str
) -> None:
    """Not even where no keys are asked for; its request needs no preflight, as a form's does."""
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = await http.post("/api/tasks", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"], mesh.calls) == (403, 7, [])
    asked_first = {"origin": origin, "access-control-request-method": "POST"}
    assert (await http.options("/api/tasks", headers=asked_first)).status_code == 403


async def test_a_name_that_was_pointed_here_is_not_ours(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    for name, status in (("evil.example", 403), ("localhost", 200), ("127.0.0.1:99", 200), ("[::1]:99", 200)):
        answer = await http.get("/api/tasks", headers={"host": name})
        assert (name, answer.status_code) == (name, status)


async def test_our_own_page_may_call(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/tasks", json={}, headers={"origin": door.url})).status_code == 200


async def test_a_page_that_was_allowed_may_call_and_read(mesh: EchoingMesh, folder: Path) -> None:
    place = place_of(mesh.port, origins=[_APP], names=["mesh.example"])
    async with gateway(place, folder) as door, door.http(headers={"origin": _APP, "host": "mesh.example"}) as http:
        wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        first = await http.options("/api/tasks", headers=wanted)
        assert (first.status_code, first.headers["access-control-allow-origin"]) == (200, _APP)
        assert "authorization" in first.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in first.headers
        then = await http.post("/api/tasks", json={})
        assert (then.status_code, then.headers["access-control-allow-origin"]) == (200, _APP)
        assert "grpc-status-details-bin" in then.headers["access-control-expose-headers"]


async def test_who_calls_too_often_is_told_when_to_come_again(mesh: EchoingMesh, folder: Path) -> None:
    """In JSON and in gRPC."""
    place = place_of(mesh.port, rate=1)
    async with gateway(place, folder) as door, door.http() as http:
        answers = [await http.get("/api/tasks") for _ in range(20)]
        assert {200, 429} == Counter(answer.status_code for answer in answers).keys()
        last = answers[-1]
        assert (last.status_code, last.headers["retry-after"], last.json()["code"]) == (429, "1", 8)
        async with grpc.aio.insecure_channel(door.address) as channel:
            stub = planner_pb2_grpc.PlannerServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListTasks(planner_pb2.ListTasksRequest(), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "too many calls" in (refused.value.details() or "")
        # Whoever asks whether it is alive is no caller.
        assert (await http.get("/healthz")).status_code == 200


def told_who_calls(files: GatewayFolder) -> None:
    """Connections say in their first line whose they are, as those of some load balancers do."""
    kind = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
    told = f"{{name: envoy.filters.listener.proxy_protocol, typed_config: {{'@type': {kind}}}}}"
    replaced(files.config / "listeners.yaml", "  filter_chains:\n", f"  listener_filters: [{told}]\n  filter_chains:\n")


async def called_from(door: Gateway, address: str) -> int:
    """The status of one call."""
    listen = door.place.listen
    reader, writer = await asyncio.open_connection(listen.host, listen.port)
    family = "TCP6 {} 2001:db8::f" if ":" in address else "TCP4 {} 192.0.2.1"
    writer.write(f"PROXY {family.format(address)} 40000 443\r\n".encode())
    writer.write(b"GET /api/tasks HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


async def test_whoever_has_a_network_of_ipv6_is_one_caller(mesh: EchoingMesh, folder: Path) -> None:
    """It has 2**64 addresses, and calls from another one each time; those of IPv4 are callers each."""
    async with gateway(place_of(mesh.port, rate=1), folder, told_who_calls) as door:
        of_one_network = [await called_from(door, f"2001:db8:0:1::{number:x}") for number in range(1, 41)]
        assert {200, 429} == Counter(of_one_network).keys()
        assert await called_from(door, "2001:db8:0:2::1") == 200
        assert {await called_from(door, f"198.51.100.{number}") for number in range(1, 41)} == {200}


async def test_alive_and_ready_are_two_things(mesh: EchoingMesh, http: httpx.AsyncClient, folder: Path) -> None:
    assert [(await http.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    nobody = Address("127.0.0.1", 1)
    async with gateway(place_of(mesh.port, router=nobody), folder) as door, door.http() as other:
        assert [(await other.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 503]


async def test_what_is_told_of_calls_holds_no_secret(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient) -> None:
    """Neither a key, nor what somebody puts into a query, nor what is asked."""
    secret = "dtc-canary-9Zk"
    headers = {"authorization": f"Bearer {secret}", "cookie": secret, "x-api-key": secret, "user-agent": secret}
    await http.post(f"/api/tasks?requestId={secret}", json={"task": {"prompt": secret}}, headers=headers)
    await http.get(f"/api/tasks?pageToken={secret}", headers=headers)
    await http.get(f"/nothing?key={secret}", headers=headers)
    async with asyncio.timeout(PATIENCE):
        # Lines are written in order, and whenever there is enough of them.
        while '"/api/tasks/last"' not in door.lines():
            await http.get("/api/tasks/last", headers=headers)
    assert "canary" not in door.lines()
    assert '"path":"/nothing"' in door.lines()


async def test_another_origin_is_let_in_while_it_runs(
    mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient
) -> None:
    """Files are replaced, and Envoy follows."""
    async with asyncio.timeout(PATIENCE):
        for origins, status in (([_APP], 200), ([], 403)):
            write(replace(door.place, origins=origins), door.folder.path)
            while (await http.get("/api/tasks", headers={"origin": _APP})).status_code != status:
                pass
