"""What a worker keeps of the mesh that it joined, and when that counts."""

import json
import os
import stat
from pathlib import Path

import pytest
from devteam_worker.hardware import Hardware
from devteam_worker.membership import FILE, Membership, read, write
from devteam_worker.settings import WorkerSettings, load_settings
from devteam_worker.settings_view import shown

from devteam.mesh.errors import InvalidInput

KEPT = Membership(server="https://mesh.example:7400", worker_id="gpu-box", key="dtw_canary", queues=("gpu-queue",))
MACHINE = Hardware(cpu_cores=8, ram_gb=64.0, gpu=False, gpu_model="", host="desk")


def settings(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> WorkerSettings:
    return load_settings(file, flags or {}, environ or {}, KEPT)


def refusal(folder: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(folder)
    return caught.value.message


def test_it_is_kept_for_its_owners_eyes_alone(tmp_path: Path) -> None:
    """And replaced as a whole."""
    assert read(tmp_path) is None
    write(tmp_path, KEPT)
    other = Membership(server="http://127.0.0.1:7400", worker_id="w2", key="dtw_other", ca="/ca.pem")
    assert read(tmp_path) == KEPT
    write(tmp_path, other)
    assert read(tmp_path) == other
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert "canary" not in repr(KEPT)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_one_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path, KEPT)
    (tmp_path / FILE).chmod(mode)
    said = refusal(tmp_path)
    assert "others can read the key in it" in said
    assert f"chmod 600 {tmp_path / FILE}" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '"x"', "{", '{"server": "s", "worker_id": "w", "key": 1, "queues": []}']
)
def test_what_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(0o600)
    assert "is not what `devteam-worker join` writes; join anew, or remove it" in refusal(tmp_path)


def test_it_says_all_that_a_worker_needs() -> None:
    said = settings()
    assert (said.api_url, said.worker_id, said.api_key.get_secret_value()) == (KEPT.server, "gpu-box", KEPT.key)
    assert [(queue.name, queue.concurrency) for queue in said.queues] == [("gpu-queue", 4)]


def test_flags_the_environment_and_the_file_win_over_it(tmp_path: Path) -> None:
    """Each in its turn, as among themselves."""
    file = tmp_path / "worker.yaml"
    file.write_text("worker: {id: of-file, queues: [{name: of-file}]}")
    said = settings({"api_key": "flag"}, {"DEVTEAM_API_KEY": "environ", "DEVTEAM_QUEUE": "of-environ"}, file)
    assert (said.api_key.get_secret_value(), said.worker_id) == ("flag", "of-file")
    assert [queue.name for queue in said.queues] == ["of-environ"]
    assert settings({}, {"DEVTEAM_API_KEY": "environ"}).api_key.get_secret_value() == "environ"
    assert [queue.name for queue in settings({}, {}, file).queues] == ["of-file"]


@pytest.mark.parametrize(
    ("flags", "environ", "yaml"),
    [
        ({"api_url": "http://127.0.0.1:7400"}, {}, "worker: {}"),
        ({}, {"DEVTEAM_API_URL": "https://other.example:7400"}, "worker: {}"),
        ({}, {}, "worker: {apiUrl: 'https://other.example'}"),
        ({}, {}, "worker: {heartbeat: {endpoint: 'https://other.example:7400/api/workers/heartbeat'}}"),
    ],
)
def test_another_mesh_sees_no_key(tmp_path: Path, flags: dict[str, object], environ: dict[str, str], yaml: str) -> None:
    """Wherever it is named."""
    file = tmp_path / "worker.yaml"
    file.write_text(yaml)
    said = settings(flags, environ, file)
    assert (said.api_key.get_secret_value(), said.api_url != KEPT.server) == ("", True)


def test_the_same_mesh_may_be_named() -> None:
    assert settings({"api_url": f"{KEPT.server}/"}).api_key.get_secret_value() == KEPT.key


def test_settings_say_where_they_come_from_and_no_key(tmp_path: Path) -> None:
    said = {item.key: item for item in shown(None, {"DEVTEAM_QUEUE": "cpu"}, MACHINE, KEPT)}
    assert {said[key].origin for key in ("apiUrl", "apiKey", "id")} == {"devteam-worker join"}
    assert said["queues"].origin == "environment variable DEVTEAM_QUEUE"
    assert (said["apiKey"].value, said["apiUrl"].value) == ("set", KEPT.server)
    assert "canary" not in json.dumps([str(item) for item in said.values()])


def test_what_broke_off_before_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container every process has the same number."""
    (tmp_path / f".{FILE}.{os.getpid()}").write_text("half of")
    write(tmp_path, KEPT)
    assert read(tmp_path) == KEPT
