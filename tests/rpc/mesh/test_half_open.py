"""Who connects and says nothing."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from devteam.mesh import options
from devteam.mesh.server import Listen, MeshServer
from tests.fakes.certificates import Certificates
from tests.fakes.ids import CountingIds

# Beyond what they are given.
PATIENCE = 60.0
TIMEOUT = "grpc.server_handshake_timeout_ms"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certs")


@pytest.mark.parametrize("says", ["nothing", "half a greeting", "nothing after the TLS handshake"])
async def test_is_cut_off_soon(says: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """And holds no socket of the server for longer than it was given: here a tenth, to spare the test's time."""
    given = int(dict(options.SERVER)[TIMEOUT]) / 10_000
    quick = ((name, int(given * 1000) if name == TIMEOUT else value) for name, value in options.SERVER)
    monkeypatch.setattr(options, "SERVER", tuple(quick))
    server = MeshServer(Listen(port=0, tls=certificates.files(), stop_grace=0.1), CountingIds())
    port = await server.start()
    trusting = ssl.create_default_context(cafile=str(certificates.ca.ca))
    trusting.set_alpn_protocols(["h2"])
    secured = {"ssl": trusting, "server_hostname": "localhost"} if "TLS" in says else {}
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **secured)  # type: ignore[arg-type]  # of two kinds
    if says == "half a greeting":
        writer.write(b"\x16\x03\x01\x02\x00\x01")
    try:
        async with asyncio.timeout(PATIENCE):
            await reader.read()
    finally:
        writer.close()
        await server.stop()
    assert given / 2 < time.monotonic() - began < given + 20
