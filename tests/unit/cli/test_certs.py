"""`devteam certs`: what it makes, and what it refuses."""

import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from devteam_cli.certs.facts import facts
from devteam_cli.certs.folder import CertFolder
from devteam_cli.main import app
from typer.testing import CliRunner, Result

HERE = ("localhost", "127.0.0.1", "::1")


def ran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["certs", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "certs"
    result = ran("init", path, "--host", "mesh.example", "--host", "10.0.0.7")
    assert result.exit_code == 0
    assert result.stdout.split() == [str(path / name) for name in ("ca.pem", "server.pem", "server.key")]
    return path


def purposes(cert: Path) -> set[x509.ObjectIdentifier]:
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def signed_by(cert: Path, ca: Path) -> None:
    issuer = x509.load_pem_x509_certificate(ca.read_bytes())
    x509.load_pem_x509_certificate(cert.read_bytes()).verify_directly_issued_by(issuer)


def test_an_authority_and_a_server(folder: Path) -> None:
    """Only their owner reads the keys. The server is known by this machine's names and by those that were given."""
    known = facts((folder / "server.pem").read_bytes())
    assert set(known.hosts) == {*HERE, "mesh.example", "10.0.0.7"}
    assert timedelta(days=89) < known.until - datetime.now(UTC) <= timedelta(days=90)
    assert purposes(folder / "server.pem") == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    signed_by(folder / "server.pem", folder / "ca.pem")
    assert facts((folder / "ca.pem").read_bytes()).until - datetime.now(UTC) > timedelta(days=3649)
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((folder / key).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "server.pem", folder / "server.key")


def test_an_authority_is_never_replaced(folder: Path) -> None:
    before = (folder / "ca.pem").read_bytes()
    result = ran("init", folder)
    assert result.exit_code == 2
    assert "holds an authority already" in result.stderr
    assert (folder / "ca.pem").read_bytes() == before


def test_a_worker_calls_and_is_not_called(folder: Path) -> None:
    assert ran("issue", "worker", "gpu-1", "--dir", folder).exit_code == 0
    known = facts((folder / "worker-gpu-1.pem").read_bytes())
    assert (known.hosts, known.uris) == ((), ("spiffe://devteam/worker/gpu-1",))
    assert purposes(folder / "worker-gpu-1.pem") == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_router_is_called_too(folder: Path) -> None:
    uri = "spiffe://mesh.example/router"
    assert ran("issue", "router", "r1", "--host", "r1.mesh", "--spiffe", uri, "--dir", folder).exit_code == 0
    known = facts((folder / "router-r1.pem").read_bytes())
    assert (set(known.hosts), known.uris) == ({*HERE, "r1.mesh"}, (uri,))


def test_what_is_renewed_is_for_the_same_names_and_lasts_as_long(folder: Path) -> None:
    before = facts((folder / "server.pem").read_bytes())
    assert ran("renew", "--dir", folder).exit_code == 0
    after = facts((folder / "server.pem").read_bytes())
    assert (after.hosts, after.uris, after.name) == (before.hosts, before.uris, before.name)
    assert after.serial != before.serial
    assert after.until - after.since == before.until - before.since
    signed_by(folder / "server.pem", folder / "ca.pem")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "server.pem", folder / "server.key")
    assert ran("renew", "server", "--days", "7", "--dir", folder).exit_code == 0
    assert facts((folder / "server.pem").read_bytes()).until < datetime.now(UTC) + timedelta(days=7, minutes=1)
    assert not list(folder.glob(".*"))


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    late = CertFolder(tmp_path, datetime.now(UTC) - timedelta(days=3600))
    late.found((), timedelta(days=90))
    made = CertFolder(tmp_path, datetime.now(UTC)).renew("server", timedelta(days=90))
    assert made.until == late.known("ca").until


def test_what_there_is_is_shown(folder: Path) -> None:
    assert "mesh.example" in ran("show", folder).stdout
    shown = [json.loads(line) for line in ran("show", folder, "-o", "jsonl").stdout.splitlines()]
    assert [item["file"] for item in shown] == ["ca", "server"]
    assert shown[1]["issuer"] == "DevTeam private authority"
    assert ran("show", folder / "nothing").exit_code == 0


def test_an_authority_may_be_held_to_some_names(tmp_path: Path) -> None:
    assert ran("init", tmp_path / "c", "--only", "mesh.example", "--only", "10.0.0.0/8").exit_code == 0
    ca = x509.load_pem_x509_certificate((tmp_path / "c" / "ca.pem").read_bytes())
    permitted = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    assert [str(place.value) for place in permitted or ()] == [
        "localhost", "127.0.0.0/8", "::1/128", "mesh.example", "10.0.0.0/8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("issue", "worker", "a b"), "--name: must be 1 to 64 characters"),
        (("issue", "worker", "../x"), "--name: must be 1 to 64 characters"),
        (("issue", "worker", "w", "--spiffe", "http://x"), "--spiffe: must be of the form spiffe://DOMAIN/PATH"),
        (("issue", "worker", "w", "--host", "x"), "a worker is not called, so that it has no hosts"),
        (("issue", "router", "r", "--host", "https://x:1"), "--host: must be a name or an address, without a scheme"),
        (("renew", "nobody"), "there is no"),
        (("renew", "ca"), "an authority is not renewed"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], said: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = ran(*arguments, "--dir", folder)
    assert result.exit_code in {2, 3}
    assert said in result.stderr
    assert sorted(folder.iterdir()) == before


def test_nothing_is_issued_without_an_authority(tmp_path: Path) -> None:
    result = ran("issue", "worker", "w", "--dir", tmp_path)
    assert result.exit_code == 3
    assert "make one with `devteam certs init" in result.stderr
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "ca.key").write_text("x")
    assert "cannot be read" in ran("issue", "worker", "w", "--dir", tmp_path).stderr
