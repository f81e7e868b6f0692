"""Spans on their way to the mesh, with the mesh there, away, slow, and of another mind."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from devteam_cli.ports import free_port
from opentelemetry.sdk.trace.export import SpanExportResult

from devteam.mesh import options
from devteam.mesh.access.caller import ANYONE, Caller
from devteam.mesh.address import target_of
from devteam.mesh.errors import ResourceExhausted, Unauthenticated
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors.call import Call
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.spans import sender
from devteam.mesh.spans.collector import collecting
from devteam.mesh.spans.sender import PATIENCE, MeshExporter
from tests.fakes.sdk_spans import ended_spans
from tests.fakes.stored_spans import all_stored_spans

# What a call that must not wait may take on a busy machine; far below what is waited for elsewhere.
SOON = 1.0


class Keyed:
    """Lets those pass who show the key."""

    async def authorize(self, call: Call) -> Caller:
        if call.metadata.get("authorization") != "Bearer dt-key":
            raise Unauthenticated("show a key")
        return ANYONE


class Hand:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.fixture
async def server(ids: Ids, file: Path) -> AsyncIterator[MeshServer]:
    mesh = MeshServer(Listen(port=0), ids, Keyed())
    with collecting(mesh, file):
        await mesh.start()
        yield mesh
        await mesh.stop()


async def exported(exporter: MeshExporter, *names: str, size: int = 0) -> bool:
    result = await asyncio.to_thread(exporter.export, ended_spans(*names, size=size))
    return result is SpanExportResult.SUCCESS


async def test_spans_reach_the_mesh_with_the_key(server: MeshServer, file: Path) -> None:
    exporter = MeshExporter(f"http://127.0.0.1:{server.port}", "dt-key")
    assert await exported(exporter, "run", "chat")
    exporter.shutdown()
    assert [(span.name, span.service) for span in all_stored_spans(file)] == [("run", "a client"), ("chat", "a client")]


async def test_without_the_key_nothing_is_taken(server: MeshServer, file: Path) -> None:
    exporter = MeshExporter(f"http://127.0.0.1:{server.port}")
    assert not await exported(exporter, "run")
    exporter.shutdown()
    assert all_stored_spans(file) == []


async def test_more_than_a_message_holds_goes_in_several(server: MeshServer, file: Path) -> None:
    """One span that is too large by itself is left out."""
    exporter = MeshExporter(f"http://127.0.0.1:{server.port}", "dt-key")
    names = [f"run {number}" for number in range(10)]
    assert await exported(exporter, *names, size=options.MAX_MESSAGE_BYTES // 4)
    assert await exported(exporter, "too large", size=options.MAX_MESSAGE_BYTES)
    exporter.shutdown()
    assert sorted(span.name for span in all_stored_spans(file)) == names


async def test_a_mesh_that_keeps_none_is_asked_again_after_a_minute(ids: Ids, file: Path) -> None:
    time_passes = Hand()
    first = MeshServer(Listen(port=free_port()), ids)
    await first.start()
    exporter = MeshExporter(f"http://127.0.0.1:{first.port}", now=time_passes)
    assert not await exported(exporter, "lost")
    await first.stop()

    second = MeshServer(Listen(port=first.port), ids)
    with collecting(second, file):
        await second.start()
        time_passes.now += 59
        assert not await exported(exporter, "lost too")
        time_passes.now += 2
        # A connection that broke comes back by itself, in its own time.
        while not await exported(exporter, "kept"):
            time_passes.now += 61
        await second.stop()
    exporter.shutdown()
    assert [span.name for span in all_stored_spans(file)] == ["kept"]


class BusyAtFirst:
    """Sends away whoever comes first, for seven seconds."""

    def __init__(self) -> None:
        self._busy = True

    async def authorize(self, _call: Call) -> Caller:
        if self._busy:
            self._busy = False
            raise ResourceExhausted("too many spans", retry_after=7.0)
        return ANYONE


async def test_a_mesh_that_is_sent_too_many_is_asked_again_when_it_says(ids: Ids, file: Path) -> None:
    time_passes, mesh = Hand(), MeshServer(Listen(port=0), ids, BusyAtFirst())
    with collecting(mesh, file):
        exporter = MeshExporter(f"http://127.0.0.1:{await mesh.start()}", now=time_passes)
        assert not await exported(exporter, "lost")
        time_passes.now += 6.9
        assert not await exported(exporter, "lost too")
        time_passes.now += 0.2
        assert await exported(exporter, "kept")
        await mesh.stop()
    exporter.shutdown()
    assert [span.name for span in all_stored_spans(file)] == ["kept"]


async def test_a_mesh_that_is_away_costs_no_time() -> None:
    """Neither at work nor at the end."""
    exporter = MeshExporter("http://127.0.0.1:1")
    began = time.monotonic()
    assert not await exported(exporter, "lost")
    exporter.hurry()
    assert not await exported(exporter, "lost")
    exporter.shutdown()
    assert time.monotonic() - began < SOON


async def test_a_mesh_that_does_not_answer_is_waited_for_once() -> None:
    """Somebody listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporter = MeshExporter(f"http://127.0.0.1:{silent.getsockname()[1]}")
        exporter.hurry()
        began = time.monotonic()
        assert not await exported(exporter, "lost")
        assert not await exported(exporter, "lost")
        exporter.shutdown()
    assert time.monotonic() - began < PATIENCE + SOON


async def test_what_is_left_at_the_end_gets_two_seconds_in_all(server: MeshServer) -> None:
    time_passes = Hand()
    exporter = MeshExporter(f"http://127.0.0.1:{server.port}", "dt-key", now=time_passes)
    exporter.hurry()
    assert await exported(exporter, "in time")
    time_passes.now += PATIENCE
    assert not await exported(exporter, "too late")
    exporter.shutdown()


async def test_https_means_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mesh that speaks none is none."""
    opened: list[str] = []
    secure = grpc.secure_channel

    def noting(target: str, *rest: object) -> grpc.Channel:
        opened.append(target)
        return secure(target, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(grpc, "secure_channel", noting)
    exporter = MeshExporter("https://127.0.0.1:1")
    assert not await exported(exporter, "lost")
    exporter.shutdown()
    assert opened == [target_of("https://127.0.0.1:1")[0]]
    assert sender.PATIENCE <= 2.0
