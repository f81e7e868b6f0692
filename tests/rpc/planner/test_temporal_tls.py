"""A Planner that shows itself to Temporal, as Temporal Cloud wants it: by a certificate, or by a key."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from devteam_planner.temporal import Login, connect

from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.server_credentials import server_credentials
from devteam.mesh.tls import TlsFiles
from tests.fakes.certificates import Certificates

PATIENCE = 60.0


async def shown_to_temporal(certificates: Certificates, login: Login) -> tuple[str, set[bytes]]:
    """The key and the names that a server in Temporal's place saw, once somebody connected; it asks for both."""
    seen: list[tuple[str, set[bytes]]] = []

    async def system_info(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        key = dict(context.invocation_metadata() or ()).get("authorization", "")
        names = context.auth_context().get("x509_subject_alternative_name", ())
        seen.append((str(key), set(names)))
        return b""

    handler: Any = grpc.unary_unary_rpc_method_handler(system_info)
    server = grpc.aio.server()
    service = "temporal.api.workflowservice.v1.WorkflowService"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"GetSystemInfo": handler})])
    port = server.add_secure_port("127.0.0.1:0", server_credentials(certificates.files(), client_certs=True))
    await server.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await connect(f"localhost:{port}", "default", SystemClock(), login)
    finally:
        await server.stop(None)
    return seen[0]


async def test_a_certificate_and_a_key_are_shown(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certs")
    own = certificates.issue("planner", "spiffe://devteam/planner/p1")
    key, names = await shown_to_temporal(certificates, Login.read(own, "cloud-key"))
    assert key == "Bearer cloud-key"
    assert names == {b"spiffe://devteam/planner/p1"}


def test_files_that_cannot_be_used_are_refused_at_the_start() -> None:
    with pytest.raises(FailedPrecondition, match="the authority file /nope cannot be read"):
        Login.read(TlsFiles(ca=Path("/nope")), "")


def test_without_files_and_key_there_is_no_tls() -> None:
    assert Login.read(None, "") == Login(tls=False, api_key=None)
    assert "canary" not in repr(Login.read(TlsFiles(), "canary"))
