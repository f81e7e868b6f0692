"""What `devteam up --secure` makes: a certificate that always holds, for every name of the machine."""

from datetime import timedelta
from pathlib import Path

import pytest
from devteam_cli.certs.facts import Facts, facts
from devteam_cli.secured import hosts
from devteam_cli.secured.certificate import ServerCertificate

from devteam.mesh.pem import PemFiles
from devteam.mesh.tls import TlsFiles
from tests.fakes.clock import FakeClock

HERE = ("localhost", "127.0.0.1", "::1")


def shown(folder: Path) -> Facts:
    return facts((folder / "server.pem").read_bytes())


def test_it_is_made_once(tmp_path: Path) -> None:
    clock = FakeClock()
    certificate = ServerCertificate(tmp_path, ["mesh.example", "10.0.0.7"], clock)
    assert certificate.ensure()
    first = shown(tmp_path)
    assert set(first.hosts) == {*HERE, "mesh.example", "10.0.0.7"}
    clock.advance(timedelta(days=59).total_seconds())
    assert not certificate.ensure()
    assert shown(tmp_path) == first


def test_it_is_renewed_thirty_days_before_it_ends_by_the_same_authority(tmp_path: Path) -> None:
    clock = FakeClock()
    certificate = ServerCertificate(tmp_path, ["mesh.example"], clock)
    certificate.ensure()
    before, authority = shown(tmp_path), (tmp_path / "ca.pem").read_bytes()
    clock.advance(timedelta(days=61).total_seconds())
    assert certificate.ensure()
    after = shown(tmp_path)
    assert (after.hosts, after.until - before.until) == (before.hosts, timedelta(days=61))
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_a_new_name_is_added_to_those_before(tmp_path: Path) -> None:
    clock = FakeClock()
    ServerCertificate(tmp_path, ["mesh.example"], clock).ensure()
    assert ServerCertificate(tmp_path, ["10.0.0.7"], clock).ensure()
    assert set(shown(tmp_path).hosts) == {*HERE, "mesh.example", "10.0.0.7"}
    assert not ServerCertificate(tmp_path, [], clock).ensure()


def test_one_that_is_gone_is_made_again_by_the_same_authority(tmp_path: Path) -> None:
    certificate = ServerCertificate(tmp_path, ["mesh.example"], FakeClock())
    certificate.ensure()
    authority = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "server.pem").unlink()
    assert certificate.ensure()
    assert "mesh.example" in shown(tmp_path).hosts
    assert (tmp_path / "ca.pem").read_bytes() == authority


@pytest.mark.parametrize("lost", ["ca.pem", "server.pem"])
def test_what_broke_off_between_a_key_and_its_certificate_is_begun_anew(tmp_path: Path, lost: str) -> None:
    """The key comes first, and nobody has seen what goes with it."""
    ServerCertificate(tmp_path, ["mesh.example"], FakeClock()).ensure()
    (tmp_path / lost).unlink()
    if lost == "ca.pem":
        (tmp_path / "server.pem").unlink()
        (tmp_path / "server.key").unlink()
    assert ServerCertificate(tmp_path, ["mesh.example"], FakeClock()).ensure()
    read(tmp_path)


def test_so_is_a_renewal_that_broke_off_there(tmp_path: Path) -> None:
    certificate = ServerCertificate(tmp_path, ["mesh.example"], FakeClock())
    certificate.ensure()
    before = (tmp_path / "server.pem").read_bytes()
    (tmp_path / "server.pem").unlink()
    certificate.ensure()
    (tmp_path / "server.pem").write_bytes(before)
    assert certificate.ensure()
    read(tmp_path)
    assert not certificate.ensure()


def read(folder: Path) -> None:
    PemFiles(TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")).read()


def test_whoever_is_shown_it_sees_its_authority_too(tmp_path: Path) -> None:
    ServerCertificate(tmp_path, [], FakeClock()).ensure()
    assert (tmp_path / "server.pem").read_text().endswith((tmp_path / "ca.pem").read_text())


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_all_addresses", lambda: ["192.168.1.10", "2001:db8::7"])
    monkeypatch.setattr("socket.gethostname", lambda: "box")


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(
    ("listens_at", "names", "expected"),
    [
        ("0.0.0.0", ["mesh.example"], ["mesh.example", "192.168.1.10", "box"]),
        ("::", [], ["192.168.1.10", "2001:db8::7", "box"]),
        ("192.168.1.10", [], ["192.168.1.10", "box"]),
        ("mesh.example", ["mesh.example"], ["mesh.example", "box"]),
        ("127.0.0.1", [], ["127.0.0.1", "box"]),
    ],
)
def test_under_what_a_machine_is_reached(listens_at: str, names: list[str], expected: list[str]) -> None:
    assert hosts.hosts_at(listens_at, names) == expected


@pytest.mark.parametrize("name", ["a b", "-x", "", "x_y"])
def test_a_machine_whose_name_is_none_goes_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    assert hosts.hosts_at("127.0.0.1", []) == ["127.0.0.1"]
