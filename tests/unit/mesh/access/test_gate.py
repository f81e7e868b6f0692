"""What has to be given before callers can be judged, and what is refused at the start."""

import os
from pathlib import Path
from typing import Any

import pytest

from devteam.mesh.access.gate import gate_of
from devteam.mesh.access.key import mint
from devteam.mesh.access.mesh_key import mesh_key_of
from devteam.mesh.errors import InvalidInput
from devteam.mesh.settings import ServiceSettings
from tests.fakes.clock import FakeClock
from tests.fakes.swapped import Swapped

KEY = mint("m").secret
MISTYPED = KEY[:-1] + ("2" if KEY[-1] == "1" else "1")
ASKED = {"tls_client_certs": True, "tls_cert_file": "c.pem", "tls_key_file": "k.pem", "tls_ca_file": "ca.pem"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return file


def refused(clock: FakeClock, **settings: Any) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as caught:
        gate_of(ServiceSettings(**settings), clock)
    (violation,) = caught.value.violations
    assert KEY not in violation.message
    return violation.field, violation.message


def test_by_default_nobody_is_asked_for_anything(clock: FakeClock) -> None:
    gate = gate_of(ServiceSettings(), clock)
    assert (gate.keyring, gate.limits) == (None, ())


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_the_mesh_key_comes_from_a_file_that_others_cannot_read(key_file: Path, mode: int) -> None:
    """The group may: a Secret of Kubernetes is read that way."""
    key_file.chmod(mode)
    assert mesh_key_of(ServiceSettings(mesh_key_file=key_file)) == KEY
    assert mesh_key_of(ServiceSettings(mesh_key=KEY)) == KEY
    assert not mesh_key_of(ServiceSettings())


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
def test_a_file_that_others_can_read_or_change_is_refused(clock: FakeClock, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    field, message = refused(clock, mesh_key_file=key_file, keys=True)
    assert (field, message) == ("MESH_KEY_FILE", f"others can read or change {key_file}: `chmod 600 {key_file}`")


def test_the_file_that_is_looked_at_is_the_one_that_is_read(key_file: Path) -> None:
    key_file.chmod(0o644)
    settings = ServiceSettings(mesh_key_file=key_file).model_copy(update={"mesh_key_file": Swapped(key_file)})
    with pytest.raises(InvalidInput, match="others can read"):
        mesh_key_of(settings)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"no-key", mint("a").secret.encode(), MISTYPED.encode(), b"\xff\xfe", b"x" * 10_000],
    ids=["nothing", "a line", "a word", "another kind", "mistyped", "no text", "long"],
)
def test_what_is_no_mesh_key_is_refused(clock: FakeClock, key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    assert refused(clock, mesh_key_file=key_file)[0] == "MESH_KEY_FILE"


def test_a_wrong_mesh_key_of_the_environment_is_refused_by_its_name(clock: FakeClock) -> None:
    field, message = refused(clock, mesh_key=mint("c").secret)
    assert field == "MESH_KEY"
    assert message == "holds no mesh key: one begins with dtm_, and this one is mistyped or another kind"


def test_a_file_that_is_not_there_is_refused(clock: FakeClock, tmp_path: Path) -> None:
    file = tmp_path / "none"
    assert refused(clock, mesh_key_file=file) == (
        "MESH_KEY_FILE",
        f"{file} cannot be read: No such file or directory",
    )


def test_two_mesh_keys_are_one_too_many(clock: FakeClock, key_file: Path) -> None:
    assert refused(clock, mesh_key_file=key_file, mesh_key=KEY)[0] == "MESH_KEY_FILE"


def test_keys_need_a_mesh_key(clock: FakeClock) -> None:
    assert refused(clock, keys=True) == (
        "KEYS",
        "needs the mesh key: set MESH_KEY_FILE to the file that holds it, or MESH_KEY",
    )


@pytest.mark.parametrize("given", [{}, ASKED, {"keys": True, "mesh_key": KEY}])
def test_identities_need_somebody_to_ask_for_them(clock: FakeClock, given: dict[str, Any]) -> None:
    field, message = refused(clock, identities=[{"uri": "spiffe://mesh/router", "role": "service"}], **given)
    assert (field, message) == (
        "IDENTITIES",
        "needs KEYS and TLS_CLIENT_CERTS: nobody is asked for a certificate otherwise",
    )


def test_an_audit_file_that_cannot_be_written_is_refused(clock: FakeClock, tmp_path: Path) -> None:
    file = tmp_path / "none" / "audit.jsonl"
    assert refused(clock, audit_file=file) == (
        "AUDIT_FILE",
        f"{file} cannot be written: No such file or directory",
    )


def test_an_audit_file_is_for_its_owners_eyes(clock: FakeClock, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        gate_of(ServiceSettings(audit_file=tmp_path / "audit.jsonl"), clock)
    finally:
        os.umask(before)
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("proxy", ["10.0.0.0/33", "proxy.example", 7.5])
def test_a_proxy_is_an_address_or_a_network(proxy: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        ServiceSettings(trusted_proxies=[proxy])
    assert [violation.field for violation in caught.value.violations] == ["TRUSTED_PROXIES[0]"]
