"""One setting at a time."""

from concurrent.futures import ThreadPoolExecutor
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
    assert visible(tmp_path) == ["worker.yaml"]


@pytest.mark.parametrize("before", [None, "", "worker:\n"])
def test_a_file_may_begin_with_it(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "worker.yaml"
    if before is not None:
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
    assert visible(tmp_path) == ["worker.yaml"]


@pytest.mark.parametrize("comments", ["# One.\n\n# Two.\n", "---\n# No end of line"])
def test_comments_alone_stay_above_what_is_set(tmp_path: Path, comments: str) -> None:
    file = tmp_path / "worker.yaml"
    file.write_text(comments)
    set_in_file(file, "concurrency", "8")
    assert file.read_text() == f"{comments.rstrip()}\nworker:\n  concurrency: 8\n"


def test_those_who_set_something_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "worker.yaml"
    names = [f"n{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: set_in_file(file, f"labels.{name}", name), names))
    assert load_settings(file, {}, {}).labels == {name: name for name in names}
    assert visible(tmp_path) == ["worker.yaml"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "worker.yaml"
    file.write_text(FILE)
    link.symlink_to(file)
    set_in_file(link, "concurrency", "8")
    assert link.is_symlink()
    assert "concurrency: 8" in file.read_text()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        set_in_file(tmp_path / "mistyped" / "worker.yaml", "concurrency", "8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rack", "7", "7"),
        ("rack", "'7'", "7"),
        ("on", "true", "true"),
        ("none", "", ""),
        ("example.com/zone", "a", "a"),
    ],
)
def test_labels_are_text_and_their_names_may_have_dots(tmp_path: Path, key: str, value: str, said: str) -> None:
    file = tmp_path / "worker.yaml"
    set_in_file(file, f"labels.{key}", value)
    assert load_settings(file, {}, {}).labels == {key: said}


def visible(folder: Path) -> list[str]:
    """All but the lock."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]
