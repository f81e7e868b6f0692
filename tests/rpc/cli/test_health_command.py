"""`devteam health` says with its exit code whether one service can be used."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from devteam_cli.main import app
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from devteam.mesh.server import Listen, MeshServer
from tests.fakes.certificates import certificate
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


async def asked(*arguments: str, **env: str) -> Done:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["health", *arguments], env=env)
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
    # The system takes connections for it, and nobody ever does.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = await asked(url, "--timeout", "0.3")
    assert (done.code, done.err) == (4, f"error: {url} gave no answer within 0.3 s\n")


DAY = timedelta(days=1)


@asynccontextmanager
async def with_tls(cert: Path, key: Path, *, asks: bool) -> AsyncIterator[str]:
    """A server that shows this certificate and, if it `asks`, believes callers that show the same."""
    shown, kept = await asyncio.gather(*(asyncio.to_thread(file.read_bytes) for file in (cert, key)))
    credentials = grpc.ssl_server_credentials([(kept, shown)], shown, asks)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    yield f"https://localhost:{port}"
    await server.stop(0)


async def test_over_tls_whoever_is_trusted_is_believed(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, since=-DAY, until=DAY)
    async with with_tls(cert, key, asks=False) as url:
        assert await asked(url, DEVTEAM_CA_FILE=str(cert)) == Done(0, "SERVING\n", "")
        assert (await asked(url)).code == 4


async def test_a_server_that_asks_for_a_certificate_is_shown_one(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, since=-DAY, until=DAY)
    key.chmod(0o600)
    async with with_tls(cert, key, asks=True) as url:
        trusted = {"DEVTEAM_CA_FILE": str(cert)}
        assert (await asked(url, **trusted)).code == 4
        shown = {"DEVTEAM_CERT_FILE": str(cert), "DEVTEAM_KEY_FILE": str(key)}
        assert await asked(url, **trusted, **shown) == Done(0, "SERVING\n", "")


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    done = await asked("https://localhost:1", "--ca", str(missing))
    assert (done.code, done.err) == (
        2,
        f"error: the authority file {missing} cannot be read: no such file or directory\n",
    )
