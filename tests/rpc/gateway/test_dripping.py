"""Callers who never end what they send: the door keeps room for the others, and waits for nobody for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from devteam_cli.gateway import admin
from devteam_cli.gateway.folder import GatewayFolder

from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import PATIENCE, Gateway, gateway, place_of, replaced
from tests.fakes.half_sent import half_sent, half_sent_by_http1

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH, LIST = "/api/tasks", "/devteam.v1.PlannerService/ListTasks"
SIZE = 4_000_000
# Three times as much as the door has room for below.
MANY = 300
# How long a call as JSON may take to come; and what is well before that.
BOUND, SOON = 15.0, 8.0
# So many that what one address may send is not what protects the door.
ANY = 100_000
LARGE = b'{"requestId": "' + b"x" * 40_000 + b'"}'


def with_little_memory(files: GatewayFolder) -> None:
    """As if so many callers were more of them."""
    replaced(files.shared / "envoy.yaml", "max_heap_size_bytes: 1073741824", f"max_heap_size_bytes: {400 * 2**20}")


def short_of_memory_from_the_start(files: GatewayFolder) -> None:
    """As far as waiting goes."""
    replaced(files.shared / "envoy.yaml", "0.6, saturation_threshold: 0.9}", "0.0, saturation_threshold: 0.0001}")


def full_from_the_start(files: GatewayFolder) -> None:
    """For whoever speaks HTTP/1.1."""
    point = "http1_server_abort_dispatch\n    triggers:\n    - {name: envoy.resource_monitors.fixed_heap, threshold: "
    replaced(files.shared / "envoy.yaml", f"{point}{{value: 0.9}}", f"{point}{{value: 0.0}}")


async def answered(http: httpx.AsyncClient) -> None:
    """Wait until an honest caller is, who is told to try again until then; and is told so no more."""
    async with asyncio.timeout(SOON):
        while (answer := await http.get("/api/tasks")).status_code != 200:
            assert (answer.status_code, answer.json()["code"]) == (503, 14)
    assert [(await http.get("/api/tasks")).status_code for _ in range(20)] == [200] * 20


@asynccontextmanager
async def held(door: Gateway, *, by_http2: int = 0, by_http1: int = 0) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """That many calls, each sent but for its end, and then byte by byte for as long as the block or the door lets them.

    Those of HTTP/2 are one task, which ends when all have ended; the others say what they were answered.
    """
    port, sent = door.place.listen.port, [asyncio.Event() for _ in range(by_http1)]
    async with half_sent(port) as line, asyncio.TaskGroup() as group:
        for _ in range(by_http2):
            line.begin(PATH, SIZE)
        calls: list[asyncio.Task[Any]] = [
            group.create_task(half_sent_by_http1(port, PATH, SIZE, it)) for it in sent
        ] + [group.create_task(line.drip())]
        async with asyncio.timeout(3 * PATIENCE):
            await asyncio.gather(*(it.wait() for it in sent))
            while not line.all_sent:  # noqa: ASYNC110 - it has as many ends as calls
                await asyncio.sleep(0.01)
        yield calls
        for call in calls:
            call.cancel()


@pytest.mark.parametrize("way", ["by_http2", "by_http1"])
async def test_calls_that_are_never_sent_whole_leave_room_for_others(mesh: EchoingMesh, folder: Path, way: str) -> None:
    """Three times what the door may hold: those that hold most are ended by HTTP/2, those that go on by HTTP/1.1."""
    async with gateway(place_of(mesh.port, rate=ANY), folder, with_little_memory) as door, door.http() as http:
        async with held(door, **{way: MANY}):
            await answered(http)
        counted = await admin.stats(door.folder.admin, "reset_high_memory_stream.count$")
        assert (any(counted.values()), {call.method for call in mesh.calls}) == (way == "by_http2", {LIST})


async def test_a_call_that_is_never_sent_whole_ends(mesh: EchoingMesh, door: Gateway, http: httpx.AsyncClient) -> None:
    """However often a byte of it comes, and though there is room for it."""
    async with held(door, by_http2=2, by_http1=2) as calls, asyncio.timeout(BOUND + PATIENCE):
        await answered(http)
        assert not any(call.done() for call in calls)
        assert await asyncio.gather(*calls) == [*["HTTP/1.1 408 Request Timeout"] * 2, None]
    assert {call.method for call in mesh.calls} == {LIST}


async def test_who_falls_silent_is_given_up_sooner_when_memory_is_short(mesh: EchoingMesh, folder: Path) -> None:
    """Else those who send nothing more would keep out for 15 s all who speak HTTP/1.1."""
    async with gateway(place_of(mesh.port), folder, short_of_memory_from_the_start) as door:
        reader, writer = await asyncio.open_connection(door.place.listen.host, door.place.listen.port)
        writer.write(b"POST /api/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        async with asyncio.timeout(SOON):
            assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        writer.close()
        await writer.wait_closed()


async def test_who_is_turned_away_by_a_full_door_is_told_to_try_again(mesh: EchoingMesh, folder: Path) -> None:
    """Envoy's reader of HTTP/1.1 would call it a defect."""
    async with gateway(place_of(mesh.port), folder, full_from_the_start) as door, door.http() as http:
        async with asyncio.timeout(PATIENCE):
            while (answer := await http.get("/api/tasks")).status_code == 200:
                pass
        assert (answer.status_code, answer.json()["code"]) == (503, 14)
        assert "try again" in answer.json()["message"]


async def chunks() -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    yield b"{}"


@pytest.mark.parametrize("large", [LARGE, None], ids=["large", "of no length"])
async def test_an_address_has_a_smaller_share_of_large_calls(
    mesh: EchoingMesh, folder: Path, large: bytes | None
) -> None:
    """What is held until it is whole is counted by itself, and keeps nobody from making small calls."""
    async with gateway(place_of(mesh.port, rate=25), folder) as door, door.http() as http:
        answers = [await http.post("/api/tasks", content=large or chunks()) for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200, 429}
        small = [await http.post("/api/tasks", content=b"{}") for _ in range(40)]
        assert {answer.status_code for answer in small} == {200}


async def test_what_has_no_body_cannot_be_given_a_large_one(mesh: EchoingMesh, http: httpx.AsyncClient) -> None:
    """It would be held beside that share."""
    answer = await http.request("GET", "/api/tasks", content=LARGE)
    assert (answer.status_code, answer.json()["code"], mesh.calls) == (413, 8, [])
