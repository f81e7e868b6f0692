"""The table is complete: each row is sent by a test beside this one, and docs/errors.md shows it."""

import re
from pathlib import Path

from tests.rpc.bad_inputs.table import ROWS, as_page

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "errors.md"


def test_there_are_sixty_rows() -> None:
    assert [entry.number for entry in ROWS] == list(range(1, 61))


def test_each_row_is_sent() -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in HERE.glob("test_*.py") if file.name != "test_table.py")
    assert {int(number) for number in re.findall(r"\brow\((\d+)\)", tests)} == set(range(1, 61))


def test_the_page_shows_them() -> None:
    """On a difference, what is printed has to stand there."""
    table = as_page()
    assert table in PAGE.read_text(encoding="utf-8"), f"docs/errors.md has to show:\n{table}"
