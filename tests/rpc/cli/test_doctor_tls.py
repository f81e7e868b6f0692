"""What `devteam doctor` finds of certificates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from devteam_cli.doctor import way
from devteam_cli.doctor.examination import Surroundings

from devteam.mesh.finding import Finding, Verdict
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tls import TlsFiles
from devteam.testing import FakeMesh
from tests.fakes.certificates import Certificates, certificate, tls_server
from tests.fakes.ids import CountingIds
from tests.rpc.cli.doctoring import around, seen

ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
DAY = timedelta(days=1)


async def tls(here: Surroundings) -> Finding:
    return (await way.secure(here))[0]


@pytest.mark.parametrize(
    ("since", "until", "said", "fix"),
    [
        (-DAY, 2 * 365 * DAY, "self-signed certificate", "name a file with it"),
        (-3 * DAY, -DAY, "certificate has expired", "have a new one issued"),
        (DAY, 3 * DAY, "certificate is not yet valid", "clocks"),
    ],
)
async def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, since: timedelta, until: timedelta, said: str, fix: str
) -> None:
    files = certificate(tmp_path, since=since, until=until)
    environ = {} if "self" in said else {ROOTS: str(files[0])}
    async with tls_server(*files) as url:
        found = await seen(around(url, environ=environ))
    assert found["tls"].verdict is Verdict.PROBLEM
    assert found["tls"].found.startswith("the certificate of localhost is not trusted: ")
    assert said in found["tls"].found.replace("self signed", "self-signed")
    assert fix in found["tls"].fix
    assert found["mesh"].found == "not looked at, because of tls"


@pytest.mark.parametrize(("days", "verdict"), [(365, Verdict.OK), (5, Verdict.WARNING)])
async def test_a_certificate_that_is_trusted(tmp_path: Path, days: int, verdict: Verdict) -> None:
    """One that ends soon is worth a word."""
    files = certificate(tmp_path, since=-DAY, until=days * DAY)
    async with tls_server(*files) as url:
        found = await tls(around(url, environ={ROOTS: str(files[0])}))
        elsewhere = await tls(around(url.replace("localhost", "127.0.0.1"), environ={ROOTS: str(files[0])}))
    assert found.verdict is verdict
    assert "certificate of localhost is trusted" in found.found
    assert elsewhere.verdict is Verdict.PROBLEM
    assert "use the name that it was issued for" in elsewhere.fix


async def test_roots_that_are_none(tmp_path: Path) -> None:
    found = await tls(around("https://localhost:1", environ={ROOTS: "/nope"}))
    assert found.found == f"{ROOTS} names /nope: No such file or directory"
    (tmp_path / "empty.pem").write_text("")
    found = await tls(around("https://localhost:1", environ={ROOTS: str(tmp_path / "empty.pem")}))
    assert found.found.endswith("no certificate in it")


async def test_tls_where_there_is_none_and_none_where_there_is(tmp_path: Path) -> None:
    """Each says what to write instead."""
    async with FakeMesh() as mesh:
        found = await seen(around(mesh.url.replace("http:", "https:")))
    assert "does not speak TLS" in found["tls"].found
    async with tls_server(*certificate(tmp_path, since=-DAY, until=DAY)) as url:
        found = await seen(around(url.replace("https:", "http:")))
    assert found["grpc"].verdict is Verdict.PROBLEM


@asynccontextmanager
async def tls_mesh(files: TlsFiles, *, client_certs: bool = False) -> AsyncIterator[str]:
    """A server with TLS, as every service of a mesh has it."""
    server = MeshServer(Listen(port=0, stop_grace=0.1, tls=files, client_certs=client_certs), CountingIds())
    try:
        yield f"https://127.0.0.1:{await server.start()}"
    finally:
        await server.stop()


async def test_a_mesh_with_its_own_authority(tmp_path: Path) -> None:
    """Who signed its certificate, who trusts that, and how long it holds."""
    certificates = Certificates(tmp_path / "certs")
    ca = str(certificates.ca.ca)
    async with tls_mesh(certificates.files()) as url:
        found = await seen(around(url, environ={"DEVTEAM_CA_FILE": ca}))
        stranger = await seen(around(url))
    assert found["tls"].verdict is Verdict.OK
    assert ", for 29 d; signed by DevTeam private authority, trusted by " + ca in found["tls"].found
    assert found["tls"].found.endswith("; TLSv1.3")
    assert found["grpc"].verdict is Verdict.OK
    assert "let DEVTEAM_CA_FILE name a file with the authority that signed it" in stranger["tls"].fix


async def test_a_mesh_that_asks_for_certificates(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certs")
    own = certificates.issue("client")
    named = {"DEVTEAM_CA_FILE": str(own.ca)}
    both = named | {"DEVTEAM_CERT_FILE": str(own.cert), "DEVTEAM_KEY_FILE": str(own.key)}
    async with tls_mesh(certificates.files(), client_certs=True) as url:
        without, with_one = await seen(around(url, environ=named)), await seen(around(url, environ=both))
    assert (without["tls"].verdict, without["grpc"].verdict) == (Verdict.OK, Verdict.PROBLEM)
    assert "DEVTEAM_CERT_FILE" in without["grpc"].fix
    assert (with_one["tls"].verdict, with_one["grpc"].verdict) == (Verdict.OK, Verdict.OK)


async def test_a_mesh_with_tls_that_is_spoken_to_in_plain_text(tmp_path: Path) -> None:
    async with tls_mesh(Certificates(tmp_path / "certs").files()) as url:
        found = await seen(around(url.replace("https:", "http:")))
    assert (found["grpc"].found, found["grpc"].fix) == ("it speaks TLS", "say https:// instead of http://")


async def test_certificate_files_that_cannot_be_used() -> None:
    found = await tls(around("https://localhost:1", environ={"DEVTEAM_CA_FILE": "/nope"}))
    assert found.found == "the authority file /nope cannot be read: no such file or directory"
