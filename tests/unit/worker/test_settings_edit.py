"""One setting at a time."""

from pathlib import Path

import pytest
from devteam_worker.settings import load_settings
from devteam_worker.settings_edit import set_in_file

from devteam.mesh.errors import InvalidInput

FILE = """\
# The machine under the desk.
worker:
  id: desk  # never change this
  concurrency: 4
  queues:
    - name: "gpu-queue"
"""


def test_a_setting_changes_and_everything_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "worker.yaml"
    file.write_text(FILE)
    file.chmod(0o640)
    set_in_file(file, "concurrency", "8")
    assert file.read_text() == FILE.replace("concurrency: 4", "concurrency: 8")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["worker.yaml"]


@pytest.mark.parametrize("before", [None, "", "worker:\n"])
def test_a_file_may_begin_with_it(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "data" / "worker.yaml"
    if before is not None:
        file.parent.mkdir()
        file.write_text(before)
    set_in_file(file, "heartbeat.intervalMs", "15000")
    assert load_settings(file, {}, {}).heartbeat.interval_ms == 15_000


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("concurency", "8", "worker.concurency: unknown key; did you mean concurrency?"),
        ("concurrency", "many", "worker.concurrency: must be a valid integer"),
        ("concurrency", "[", "concurrency: '\\[' is not YAML"),
        ("concurrency.more", "8", "worker.concurrency.more: concurrency is no section"),
        ("apiKey", "k", "worker.apiKey: is a secret"),
    ],
)
def test_what_a_worker_would_refuse_is_not_written(tmp_path: Path, key: str, value: str, said: str) -> None:
    file = tmp_path / "worker.yaml"
    file.write_text(FILE)
    with pytest.raises(InvalidInput, match=said):
        set_in_file(file, key, value)
    assert file.read_text() == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["worker.yaml"]
