"""TLS at the door and behind it, and certificates that are replaced while calls run."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from devteam_cli.gateway.place import Address
from devteam_cli.ports import free_port

from devteam.mesh.tls import TlsFiles
from devteam.v1 import planner_pb2, planner_pb2_grpc
from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import PATIENCE, gateway, place_of
from tests.fakes.signed import signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

_WATCH = "/devteam.v1.PlannerService/WatchTask"


@pytest.fixture
def certs(folder: Path) -> Path:
    """Where Envoy finds them."""
    path = folder / "certs"
    path.mkdir()
    return path


async def shown(address: Address, trusted: Path) -> int:
    """The serial number of the certificate that a new caller is shown."""
    context = ssl.create_default_context(cafile=trusted)
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname="localhost")
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(found).serial_number


async def test_a_new_certificate_is_shown_and_no_stream_is_cut(mesh: EchoingMesh, folder: Path, certs: Path) -> None:
    first, ca = signed(certs, "localhost"), certs / "ca.crt"
    place = place_of(mesh.port, certificate=TlsFiles(Path("certs/tls.crt"), Path("certs/tls.key")))
    go_on = asyncio.Event()
    mesh.says[_WATCH] = [planner_pb2.WatchTaskResponse(), go_on, planner_pb2.WatchTaskResponse()]
    async with gateway(place, folder) as door, asyncio.timeout(PATIENCE):
        assert await shown(place.listen, ca) == first.serial_number
        roots = grpc.ssl_channel_credentials(ca.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{place.listen.port}", roots) as channel:
            call = planner_pb2_grpc.PlannerServiceStub(channel).WatchTask(planner_pb2.WatchTaskRequest())
            await call.read()
            second = signed(certs, "localhost")
            while await shown(place.listen, ca) != second.serial_number:
                pass
            go_on.set()
            assert await call.read() is not grpc.aio.EOF
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=PATIENCE
        ) as http:
            answer = await http.get(f"https://localhost:{place.listen.port}/api/tasks")
        assert (answer.status_code, door.url[:8]) == (200, "https://")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_services_have_to_show_a_certificate_of_their_name(folder: Path, certs: Path, host: str) -> None:
    """By the name or the address that was dialled; another one, or none, is no service of ours."""
    signed(certs, host, "service")
    signed(certs, "elsewhere", "other")
    async with EchoServer(certs, "service") as right, EchoServer(certs, "other") as wrong:
        place = place_of(right, upstream=TlsFiles(ca=Path("certs/ca.crt")))
        service = Address(host, right)
        place = replace(place, registry=service, planner=service, router=Address(host, wrong))
        async with gateway(place, folder) as door, door.http() as http:
            assert (await http.get("/api/tasks")).status_code == 200
            assert (await http.get("/api/queues")).status_code == 503


async def test_a_mesh_on_this_machine_is_believed_as_it_is(folder: Path, certs: Path) -> None:
    """Whatever name its certificate has."""
    signed(certs, "elsewhere")
    async with EchoServer(certs, "tls") as port:
        place = place_of(port, upstream=TlsFiles())
        async with gateway(place, folder) as door, door.http() as http:
            assert (await http.get("/api/tasks")).status_code == 200


class EchoServer:
    """A mesh that speaks TLS only."""

    def __init__(self, certs: Path, name: str) -> None:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((EchoingMesh(),))
        pair = ((certs / f"{name}.key").read_bytes(), (certs / f"{name}.crt").read_bytes())
        self._port = free_port()
        self._server.add_secure_port(f"localhost:{self._port}", grpc.ssl_server_credentials([pair]))

    async def __aenter__(self) -> int:
        await self._server.start()
        return self._port

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)
