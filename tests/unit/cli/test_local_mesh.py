"""How a command on the mesh's own machine finds it."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from devteam_cli import local_mesh
from devteam_cli.local_mesh import Access, LocalMesh, access, directions

from devteam.mesh.errors import InvalidInput

URL = "https://127.0.0.1:7400"
ELSEWHERE = "http://10.0.0.9:7400"


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalMesh:
    """One that runs on the folder of this machine."""
    monkeypatch.setenv("DEVTEAM_DATA", str(tmp_path))
    (tmp_path / "admin.key").write_text("secret\n")
    left = LocalMesh(URL, "ca.pem", str(tmp_path / "admin.key"), "https://mesh.example:7400", "SHA256:abc")
    local_mesh.write(tmp_path, left)
    return left


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    ("url", "key", "environ", "expected"),
    [
        (None, None, {}, Access(URL, "secret", "ca.pem")),
        (URL, None, {}, Access(URL, "secret", "ca.pem")),
        (None, None, {"DEVTEAM_API_URL": URL}, Access(URL, "secret", "ca.pem")),
        (None, "mine", {}, Access(URL, "mine", "ca.pem")),
        (None, None, {"DEVTEAM_API_KEY": "mine"}, Access(URL, None, "ca.pem")),
        (None, None, {"DEVTEAM_CA_FILE": "other.pem"}, Access(URL, "secret", None)),
        # Its key is for that mesh alone.
        (ELSEWHERE, None, {}, Access(ELSEWHERE, None, None)),
        (None, None, {"DEVTEAM_API_URL": ELSEWHERE}, Access(None, None, None)),
        (ELSEWHERE, None, {"DEVTEAM_API_URL": URL}, Access(ELSEWHERE, None, None)),
    ],
)
def test_what_is_said_counts_first(url: str, key: str, environ: dict[str, str], expected: Access) -> None:
    assert access(url, key, environ) == expected


def test_other_machines_are_led_to_an_address_that_they_can_reach(mesh: LocalMesh, tmp_path: Path) -> None:
    assert directions(URL) == "--server https://mesh.example:7400 --ca-fingerprint SHA256:abc"
    assert directions(ELSEWHERE) == f"--server {ELSEWHERE}"
    local_mesh.write(tmp_path, replace(mesh, elsewhere=""))
    assert directions(URL) == f"--server {URL} --ca-fingerprint SHA256:abc"


def test_only_its_owner_reads_it_and_it_goes_with_the_mesh(mesh: LocalMesh, tmp_path: Path) -> None:
    file = tmp_path / local_mesh.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert local_mesh.read(tmp_path) == mesh
    local_mesh.forget(tmp_path)
    local_mesh.forget(tmp_path)
    assert access(None, None, {}) == Access()


@pytest.mark.usefixtures("mesh")
def test_one_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / local_mesh.FILE).chmod(0o620)
    with pytest.raises(InvalidInput, match="chmod 600"):
        access(None, None, {})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}', "\0"])
def test_one_that_is_none_is_refused(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_DATA", str(tmp_path))
    (tmp_path / local_mesh.FILE).write_text(content)
    with pytest.raises(InvalidInput, match="start the mesh again, or remove the file"):
        access(None, None, {})


def test_a_key_that_went_away_is_missed(mesh: LocalMesh) -> None:
    Path(mesh.key_file).unlink()
    with pytest.raises(InvalidInput, match="start the mesh again"):
        access(None, None, {})
    assert access(None, "mine", {}).key == "mine"
