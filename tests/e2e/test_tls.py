"""TLS with the product's own commands: an authority, a mesh that speaks TLS, and who reaches it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs import Mesh, devteam, environment, up
from tests.e2e.services import variables
from tests.e2e.test_refusals import CONFIG, refused

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `devteam certs init` leaves."""
    folder = tmp_path_factory.mktemp("tls") / "certs"
    assert devteam("certs", "init", str(folder), env=environment()).returncode == 0
    return folder


@pytest.fixture(scope="module")
def mesh(certs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that speaks TLS."""
    with up(tmp_path_factory.mktemp("mesh"), "--certs", str(certs)) as running:
        assert running.url.startswith("https://127.0.0.1:")
        yield running
        running.stop()


def asked(mesh: Mesh, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return devteam(*command, env=environment(DEVTEAM_API_URL=mesh.url, **env))


def test_a_task_runs_for_whoever_trusts_its_authority(mesh: Mesh, certs: Path) -> None:
    """The mesh's own worker does, and takes the task."""
    done = asked(mesh, "task", "run", "--model", "sim", "Say hello", DEVTEAM_CA_FILE=str(certs / "ca.pem"))
    assert (done.returncode, done.stderr.count("error")) == (0, 0)
    assert done.stdout


def test_who_does_not_is_told_what_to_set(mesh: Mesh) -> None:
    done = asked(mesh, "workers")
    assert done.returncode == 4
    assert "its certificate is not signed by anyone who is trusted here; let DEVTEAM_CA_FILE" in done.stderr
    done = asked(mesh, "workers", DEVTEAM_CA_FILE="/nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the authority file /nope cannot be read: no such file or directory")


def test_who_speaks_plain_text_is_told_to_say_https(mesh: Mesh) -> None:
    done = devteam("workers", env=environment(DEVTEAM_API_URL=mesh.url.replace("https:", "http:")))
    assert done.returncode == 4
    assert "if it speaks TLS say https://" in done.stderr


def test_a_worker_of_another_machine_comes_in(mesh: Mesh, certs: Path) -> None:
    with mesh.worker("--id", "far", "--queue", "far", DEVTEAM_CA_FILE=str(certs / "ca.pem")):
        known = asked(mesh, "workers", "-o", "json", DEVTEAM_CA_FILE=str(certs / "ca.pem"))
        assert '"far"' in known.stdout


def test_the_doctor_knows_the_certificate(mesh: Mesh, certs: Path) -> None:
    found = asked(mesh, "doctor", DEVTEAM_CA_FILE=str(certs / "ca.pem"), DEVTEAM_PROVIDER="sim")
    assert "signed by DevTeam private authority, trusted by" in found.stdout


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            {"tls_cert_file": "/nope.pem", "tls_key_file": "{certs}/server.key"},
            "error: the certificate file /nope.pem cannot be read: no such file or directory",
        ),
        (
            {"tls_cert_file": "{certs}/server.pem", "tls_key_file": "{certs}/ca.key"},
            "error: the key in {certs}/ca.key is not the one of the certificate in {certs}/server.pem",
        ),
        (
            {"tls_cert_file": "{certs}/server.pem"},
            (
                "error: DEVTEAM_REGISTRY_TLS_KEY_FILE: goes with DEVTEAM_REGISTRY_TLS_CERT_FILE, and the file of the "
                "key is not named"
            ),
        ),
    ],
)
def test_a_service_with_files_that_cannot_be_used_does_not_start(told: dict[str, str], line: str, certs: Path) -> None:
    given = {name: value.format(certs=certs) for name, value in told.items()}
    code, lines = refused("devteam_registry", env=variables("registry", 0, **given))
    assert (code, lines[-1]) == (CONFIG, line.format(certs=certs))


def test_a_mesh_beyond_this_machine_needs_more_than_tls(certs: Path, tmp_path: Path) -> None:
    ended = devteam(
        *("up", "--host", "0.0.0.0", "--port", "0", "--no-ui", "--no-worker", "--certs", str(certs)),
        *("--data", str(tmp_path / "data")),
        env=environment(DEVTEAM_TEMPORAL_ADDRESS="127.0.0.1:1"),
    )
    assert ended.returncode == 2
    assert "because it lacks API keys or client certificates. " in ended.stderr
