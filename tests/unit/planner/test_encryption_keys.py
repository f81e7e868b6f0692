"""The file that keys are read from."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from devteam_planner.encryption_keys import new_line, read_keys

from devteam.mesh.errors import InvalidInput
from devteam.mesh.redaction import HIDDEN, hidden
from tests.fakes.swapped import Swapped

NOW = datetime(2026, 11, 26, tzinfo=UTC)
KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_first_key_is_the_current_one(tmp_path: Path) -> None:
    keys = read_keys(written(tmp_path, f"# rotated in May\nnew {KEY}\n\n  old   {OTHER}  \n"))
    assert keys.current == "new"
    assert keys.keys == {"new": b"k" * 32, "old": b"o" * 32}
    assert "kkkk" not in repr(keys)


def test_a_key_that_was_read_is_in_no_log(tmp_path: Path) -> None:
    key = new_line(NOW, "mine").split()[1]
    assert hidden(f"bad key {key}") == f"bad key {key}"
    read_keys(written(tmp_path, f"mine {key}"))
    assert hidden(f"bad key {key}") == f"bad key {HIDDEN}"


def test_a_new_line_is_read_back(tmp_path: Path) -> None:
    first, second = new_line(NOW), new_line(NOW)
    assert first != second
    assert first.startswith("2026-11-26-")
    assert len(read_keys(written(tmp_path, f"{first}\n{second}\n")).keys) == 2
    assert read_keys(written(tmp_path, new_line(NOW, "mine"))).current == "mine"
    with pytest.raises(InvalidInput, match="'a b' is no id"):
        new_line(NOW, "a b")


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660, 0o602, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InvalidInput, match=f"others may read keys .mode {mode:04o}.: chmod 600 it"):
        read_keys(written(tmp_path, f"a {KEY}", mode))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_a_group_may_read_since_kubernetes_hands_secrets_to_one(tmp_path: Path, mode: int) -> None:
    assert read_keys(written(tmp_path, f"a {KEY}", mode)).current == "a"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "keys holds no key; `devteam encryption new-key` makes one"),
        (KEY, "line 1 of keys is not of the form ID BASE64KEY"),
        (f"a {KEY}\nb/c {OTHER}", "line 2 of keys is not of the form"),
        ("a !!!!", "line 1 of keys: the key is not 32 bytes in base64"),
        (f"a {KEY[:20]}", "line 1 of keys: the key is not 32 bytes"),
        (f"a {KEY}\na {OTHER}", "line 2 of keys: there is a key 'a' already"),
    ],
)
def test_what_is_wrong_is_said_without_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_keys(written(tmp_path, text), setting="DEVTEAM_PLANNER_ENCRYPTION_KEYS_FILE")
    [violation] = refused.value.violations
    assert violation.field == "DEVTEAM_PLANNER_ENCRYPTION_KEYS_FILE"
    assert complaint in violation.message
    assert KEY not in violation.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read none: No such file"):
        read_keys(tmp_path / "none")


def test_the_file_that_is_looked_at_is_the_one_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="others may read keys"):
        read_keys(Swapped(written(tmp_path, f"a {KEY}", 0o644)))
