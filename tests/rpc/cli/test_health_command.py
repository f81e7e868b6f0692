"""`devteam health` says with its exit code whether one service can be used."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from devteam_cli.main import app
from typer.testing import CliRunner

from devteam.mesh.server import Listen, MeshServer
from tests.fakes.ids import CountingIds
from tests.rpc.cli.command import Done

NAME, OTHER = "devteam.v1.PlannerService", "devteam.v1.RouterService"


@pytest.fixture
async def server(ids: CountingIds) -> AsyncIterator[MeshServer]:
    mesh = MeshServer(Listen(port=0), ids)
    mesh.serve([NAME, OTHER])
    await mesh.start()
    yield mesh
    await mesh.stop()


async def asked(*arguments: str) -> Done:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["health", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize("service", ["", NAME])
async def test_it_serves(server: MeshServer, service: str) -> None:
    done = await asked(f"http://127.0.0.1:{server.port}", service)
    assert done == Done(0, "SERVING\n", "")


async def test_it_does_not_serve_for_now(server: MeshServer) -> None:
    await server.announce([NAME], serving=False)
    url = f"http://127.0.0.1:{server.port}"
    assert await asked(url, NAME) == Done(1, "NOT_SERVING\n", "")
    assert (await asked(url, OTHER)).code == 0


async def test_there_is_no_such_service(server: MeshServer) -> None:
    done = await asked(f"http://127.0.0.1:{server.port}", "devteam.v1.Nothing")
    assert (done.code, done.err) == (3, "error: no service named 'devteam.v1.Nothing'\n")


async def test_nobody_listens() -> None:
    """At once, with the reason: whoever probes asks again by itself."""
    done = await asked("http://127.0.0.1:1", "--timeout", "30")
    assert done.code == 4
    assert "Connection refused" in done.err


async def test_who_does_not_answer_is_waited_for_no_longer_than_said() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        done = await asked(url, "--timeout", "0.3")
    assert (done.code, done.err) == (4, f"error: {url} gave no answer within 0.3 s\n")
