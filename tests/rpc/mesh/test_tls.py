"""TLS between the real server and the real channel: whom each believes, and certificates that change meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from devteam.mesh.channel import open_blocking_channel, open_channel
from devteam.mesh.errors import DevTeamError, FailedPrecondition, Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.status import from_rpc
from devteam.mesh.tls import TlsFiles
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.certificates import Certificates, serial_shown
from tests.fakes.ids import CountingIds
from tests.fakes.registry_server import ScriptedRegistryServicer

PATIENCE = 30.0
CHECK = "/grpc.health.v1.Health/Check"
GONE = registry_pb2.WatchWorkersResponse(removed=registry_pb2.WorkerRemoval(worker_id="w1"))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certs")


class Events:
    """What was logged, as it happens: connections are greeted in threads of gRPC's."""

    def __init__(self, lines: Sequence[Mapping[str, Any]]) -> None:
        self._lines = lines

    def count(self, event: str) -> int:
        return [line["event"] for line in self._lines].count(event)


@pytest.fixture
def logged() -> Iterator[Events]:
    with capture_logs() as lines:
        yield Events(lines)


@asynccontextmanager
async def serving(
    tls: TlsFiles | None, *, client_certs: bool = False
) -> AsyncIterator[tuple[int, ScriptedRegistryServicer]]:
    server = MeshServer(Listen(port=0, stop_grace=0.1, tls=tls, client_certs=client_certs), CountingIds())
    registry = ScriptedRegistryServicer(GONE)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server.server)
    port = await server.start()
    try:
        yield port, registry
    finally:
        await server.stop()


async def asked(channel: grpc.aio.Channel) -> bytes:
    """Whether the server is healthy. Raises DevTeamError."""
    call: Any = channel.unary_unary(CHECK)
    try:
        answer: bytes = await call(b"", timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error) from error
    return answer


async def refused(url: str, tls: TlsFiles | None = None) -> str:
    async with open_channel(url, tls=tls) as channel:
        with pytest.raises(DevTeamError) as caught:
            await asked(channel)
    assert isinstance(caught.value, Unavailable)
    return caught.value.message


async def test_a_client_that_trusts_the_authority(certificates: Certificates) -> None:
    async with serving(certificates.files()) as (port, _):
        for host in ("localhost", "127.0.0.1"):
            async with open_channel(f"https://{host}:{port}", tls=certificates.ca) as channel:
                assert await asked(channel)


async def test_a_client_without_an_event_loop(certificates: Certificates) -> None:
    async with serving(certificates.files()) as (port, _):
        with open_blocking_channel(f"https://127.0.0.1:{port}", certificates.ca) as channel:
            call: Any = channel.unary_unary(CHECK)
            assert await asyncio.to_thread(call, b"", timeout=PATIENCE)


async def test_who_does_not_know_the_authority_is_told_where_to_name_it(
    certificates: Certificates, tmp_path: Path
) -> None:
    """Both who trusts another one, and who trusts the public ones."""
    async with serving(certificates.files()) as (port, _):
        for tls in (Certificates(tmp_path / "other").ca, None):
            said = await refused(f"https://127.0.0.1:{port}", tls)
            assert said.startswith("its certificate is not signed by anyone who is trusted here; let DEVTEAM_CA_FILE")


async def test_a_server_of_another_name(certificates: Certificates) -> None:
    async with serving(certificates.issue("server", hosts=("elsewhere.example",))) as (port, _):
        said = await refused(f"https://127.0.0.1:{port}", certificates.ca)
    assert said.startswith("its certificate is for other names; use one of those")


async def test_plain_text_to_a_port_with_tls(certificates: Certificates) -> None:
    async with serving(certificates.files()) as (port, _):
        said = await refused(f"http://127.0.0.1:{port}")
    assert said.startswith("it hangs up at once; if it speaks TLS say https://")


async def test_tls_to_a_port_without(certificates: Certificates) -> None:
    async with serving(None) as (port, _):
        said = await refused(f"https://127.0.0.1:{port}", certificates.ca)
    assert said.startswith("it does not speak TLS; say http://")


async def test_only_those_who_show_a_certificate(certificates: Certificates, tmp_path: Path) -> None:
    async with serving(certificates.files(), client_certs=True) as (port, _):
        url = f"https://127.0.0.1:{port}"
        async with open_channel(url, tls=certificates.issue("worker", "spiffe://devteam/worker/w1")) as channel:
            assert await asked(channel)
        strange, own = Certificates(tmp_path / "other").files(), certificates.files()
        for tls in (certificates.ca, TlsFiles(strange.cert, strange.key, own.ca)):
            assert "DEVTEAM_CERT_FILE" in await refused(url, tls)


async def test_a_certificate_that_expired_lets_nobody_in(certificates: Certificates) -> None:
    late = certificates.issue("late", ago=timedelta(days=60))
    async with serving(certificates.files(), client_certs=True) as (port, _):
        assert "DEVTEAM_CERT_FILE" in await refused(f"https://127.0.0.1:{port}", late)


async def test_new_certificates_are_shown_to_new_connections_while_a_stream_goes_on(
    certificates: Certificates, logged: Events
) -> None:
    before = certificates.serial()
    async with (
        serving(certificates.files()) as (port, registry),
        open_channel(f"https://127.0.0.1:{port}", tls=certificates.ca) as channel,
    ):
        watch = registry_pb2_grpc.RegistryServiceStub(channel).WatchWorkers(registry_pb2.WatchWorkersRequest())
        assert await watch.read() == GONE
        assert await serial_shown(port) == before
        certificates.folder.renew("server", None)
        assert await serial_shown(port) == certificates.serial() != before
        registry.tell(GONE)
        assert await watch.read() == GONE
        watch.cancel()
        assert logged.count("certificates renewed") == 1


@pytest.mark.parametrize("broken", ["half a certificate", "another's key", "no file", "an open key", "expired"])
async def test_files_that_are_not_whole_change_nothing(broken: str, certificates: Certificates, logged: Events) -> None:
    """Which is said once. What is whole again is shown."""
    before, folder = certificates.serial(), certificates.folder
    certificates.issue("other", hosts=("localhost",))
    break_: dict[str, Callable[[], object]] = {
        "half a certificate": lambda: os.truncate(folder.cert("server"), 300),
        "another's key": lambda: folder.key("other").replace(folder.key("server")),
        "no file": folder.cert("server").unlink,
        "an open key": lambda: folder.key("server").chmod(0o644),
        "expired": lambda: certificates.issue("server", hosts=("localhost",), ago=timedelta(days=60)),
    }
    kept = folder.cert("server").read_bytes(), folder.key("server").read_bytes()
    async with serving(certificates.files()) as (port, _):
        break_[broken]()
        assert [await serial_shown(port) for _ in range(3)] == [before] * 3
        folder.cert("server").write_bytes(kept[0])
        folder.key("server").write_bytes(kept[1])
        folder.key("server").chmod(0o600)
        certificates.issue("server", hosts=("localhost",))
        assert await serial_shown(port) == certificates.serial() != before
    assert logged.count("new certificate files cannot be used: the ones before are kept") == 1
    assert logged.count("certificates renewed") == 1


async def test_a_client_that_calls_again_uses_what_its_files_hold_then(certificates: Certificates) -> None:
    """Its stream goes on as it began; its next call shows the new certificate, on a connection of its own."""
    own = certificates.issue("client", ago=timedelta(days=60))
    async with (
        serving(certificates.files(), client_certs=True) as (port, registry),
        open_channel(f"https://127.0.0.1:{port}", tls=own) as channel,
    ):
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), timeout=PATIENCE).read()
        certificates.issue("client")
        watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), timeout=PATIENCE)
        assert await watch.read() == GONE
        # What it shows from now on is not taken, which the stream does not notice.
        certificates.issue("client", ago=timedelta(days=60))
        with pytest.raises(Unavailable):
            await asked(channel)
        registry.tell(GONE)
        assert await watch.read() == GONE
        certificates.issue("client")
        assert await asked(channel)
        watch.cancel()


async def test_a_channel_that_is_closed_ends_the_calls_on_its_earlier_connections(certificates: Certificates) -> None:
    own = certificates.issue("client")
    async with serving(certificates.files()) as (port, _):
        channel = open_channel(f"https://127.0.0.1:{port}", tls=own)
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        watch = stub.WatchWorkers(registry_pb2.WatchWorkersRequest(), timeout=PATIENCE)
        assert await watch.read() == GONE
        certificates.issue("client")
        assert await asked(channel)
        await channel.close()
        assert await watch.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.key("server").unlink(), "the key file {server.key} cannot be read: no such file or directory"),
        (lambda c: c.cert("server").unlink(), "the certificate file {server.pem} cannot be read: no such file"),
        (lambda c: c.cert("ca").unlink(), "the authority file {ca.pem} cannot be read: no such file or directory"),
        (lambda c: c.cert("ca").write_text("hm"), "the authority file {ca.pem} holds no certificate in PEM"),
        (lambda c: c.key("server").chmod(0o644), "the key file {server.key} is open to others (mode 0644): chmod 600"),
        (lambda c: c.key("server").chmod(0o620), "the key file {server.key} is open to others (mode 0620): chmod 600"),
        (lambda c: c.key("ca").replace(c.key("server")), "the key in {server.key} is not the one of the certificate"),
        (lambda c: c.cert("server").write_text("hm"), "{server.pem} and {server.key} do not hold a certificate and"),
    ],
)
async def test_a_server_does_not_start_with_files_that_cannot_be_used(
    change: Callable[[Any], object], said: str, certificates: Certificates
) -> None:
    change(certificates.folder)
    for name in ("server.key", "server.pem", "ca.pem"):
        said = said.replace(f"{{{name}}}", str(certificates.folder.path / name))
    server = MeshServer(Listen(port=0, tls=certificates.files(), client_certs=True), CountingIds())
    with pytest.raises(FailedPrecondition) as caught:
        await server.start()
    assert caught.value.message.startswith(said)
    await server.stop()


async def test_a_server_does_not_start_with_a_certificate_that_expired(certificates: Certificates) -> None:
    late = certificates.issue("server", hosts=("localhost",), ago=timedelta(days=60))
    server = MeshServer(Listen(port=0, tls=late), CountingIds())
    with pytest.raises(FailedPrecondition, match=r"the certificate expired on .* UTC: have a new one issued"):
        await server.start()
    await server.stop()


async def test_a_key_that_its_group_reads_is_fine(certificates: Certificates) -> None:
    """As containers have it, where secrets are mounted for the group of the process."""
    certificates.folder.key("server").chmod(0o640)
    async with serving(certificates.files()) as (port, _):
        assert await serial_shown(port) == certificates.serial()


async def test_a_server_that_has_no_authority_cannot_ask_for_certificates(certificates: Certificates) -> None:
    own = certificates.files()
    server = MeshServer(Listen(port=0, tls=TlsFiles(own.cert, own.key), client_certs=True), CountingIds())
    with pytest.raises(FailedPrecondition, match="no authority file says who signs them"):
        await server.start()
    await server.stop()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (TlsFiles(ca=Path("/nope")), "the authority file /nope cannot be read"),
        (TlsFiles(cert=Path("/nope")), "a certificate and its key go together"),
    ],
)
async def test_a_channel_says_which_file_it_cannot_use(files: TlsFiles, said: str) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        open_channel("https://localhost:1", tls=files)
    assert caught.value.message.startswith(said)
    with pytest.raises(FailedPrecondition):
        open_blocking_channel("https://localhost:1", files)


async def test_a_port_with_tls_that_is_taken(certificates: Certificates) -> None:
    async with serving(certificates.files()) as (port, _):
        server = MeshServer(Listen(port=port, tls=certificates.files()), CountingIds())
        with pytest.raises(FailedPrecondition, match="the port is taken"):
            await server.start()
        await server.stop()
