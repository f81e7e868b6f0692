"""A worker, a Router and a Registry, each of which shows a certificate to the others."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from devteam_cli.ports import free_port
from devteam_registry import app as registry_app
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router import app as router_app
from devteam_router.settings import Settings as RouterSettings
from devteam_worker import DevTeamWorker
from structlog.testing import capture_logs

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.mesh.tls import TlsFiles
from devteam.v1 import router_pb2, router_pb2_grpc
from tests.fakes.certificates import Certificates
from tests.fakes.ids import CountingIds
from tests.fakes.mesh_server import scripted_mesh
from tests.rpc.router.mesh import DispatchCall, a_run
from tests.rpc.worker.embedded import plain, started

PATIENCE = 60.0


@asynccontextmanager
async def registry_serving(tls: TlsFiles, router: str) -> AsyncIterator[str]:
    settings = RegistrySettings(database_url="memory", router_addresses=[router])
    clock, ids = SystemClock(), CountingIds()
    server = MeshServer(Listen(port=0, stop_grace=0.1, tls=tls, client_certs=True), ids)
    async with registry_app.mounted(server, settings, clock, ids) as job:
        port = await server.start()
        async with background(job):
            try:
                yield f"https://127.0.0.1:{port}"
            finally:
                await server.stop()


@asynccontextmanager
async def router_serving(tls: TlsFiles, port: int, registry: str) -> AsyncIterator[None]:
    settings = RouterSettings(
        registry_address=registry, tls_cert_file=tls.cert, tls_key_file=tls.key, tls_ca_file=tls.ca
    )
    clock, ids = SystemClock(), CountingIds()
    server = MeshServer(Listen(port=port, stop_grace=0.1, tls=settings.tls, client_certs=True), ids)
    async with router_app.mounted(server, settings, clock, ids) as job:
        await server.start()
        async with background(job):
            try:
                yield
            finally:
                await server.stop()


async def answered(router: str, tls: TlsFiles, task_id: str) -> str:
    """What a worker makes of a run, once one is there."""
    async with open_channel(router, tls=tls) as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        call = stub.Dispatch(router_pb2.DispatchRequest(run=a_run(task_id)), wait_for_ready=True)
        events, _ = await DispatchCall(call).hear_out()
        # What is not stored would be kept for whoever asks again.
        stored = router_pb2.DispatchAck(task_id=task_id, attempt=1, seq=1, report=True)
        await stub.AckDispatches(router_pb2.AckDispatchesRequest(acks=[stored]))
    return "".join(token.text for event in events for token in event.tokens.tokens)


def replace_all(certificates: Certificates, by: Certificates) -> None:
    """Another authority, and what it signed."""
    for name in ("ca", "server", "w1"):
        for file in (by.folder.key(name), by.folder.cert(name)):
            shutil.copy(file, certificates.folder.path / file.name)


async def test_a_worker_comes_back_with_what_its_files_hold_after_the_authority_was_replaced(
    tmp_path: Path,
) -> None:
    """Nothing but a Router is started again: neither the worker nor the Registry."""
    certificates, others = Certificates(tmp_path / "certs"), Certificates(tmp_path / "others")
    own = certificates.issue("w1", "spiffe://devteam/worker/w1")
    others.issue("w1", "spiffe://devteam/worker/w1")
    port = free_port()
    router = f"https://127.0.0.1:{port}"
    async with asyncio.timeout(PATIENCE), registry_serving(certificates.files(), router) as registry:
        worker = DevTeamWorker(
            api_url=registry, worker_id="w1", queues=["default"], ca_file=own.ca, cert_file=own.cert, key_file=own.key
        )
        worker.on_ready(lambda _: None)
        worker.on_task(plain)
        async with started(worker):
            async with router_serving(certificates.files(), port, registry):
                assert await answered(router, own, "t1") == "HELLO"
            replace_all(certificates, others)
            async with router_serving(certificates.files(), port, registry):
                assert await answered(router, others.files("w1"), "t2") == "HELLO"


async def test_a_router_that_is_new_while_files_are_renewed_is_dialled_once_they_are_there(tmp_path: Path) -> None:
    """The worker goes on meanwhile."""
    certificates = Certificates(tmp_path / "certs")
    ca, away = certificates.folder.cert("ca"), tmp_path / "away.pem"
    tls = TlsFiles(certificates.folder.cert("server"), certificates.folder.key("server"))
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), scripted_mesh(tls) as mesh, scripted_mesh(tls) as second:
            mesh.registry.interval = 0.05
            worker = DevTeamWorker(api_url=mesh.url, worker_id="w1", queues=["default"], ca_file=ca)
            worker.on_ready(lambda _: None)
            worker.on_task(plain)
            async with started(worker):
                await mesh.router.attached()
                ca.rename(away)
                mesh.registry.router_addresses = [mesh.url, second.url]
                while "certificates cannot be used now" not in [line["event"] for line in logs]:
                    await mesh.registry.beaten()
                away.rename(ca)
                await second.router.attached()
