"""Text and numbers as a terminal may show them."""

from datetime import UTC, datetime, timedelta

import pytest
from devteam_cli.text import ago, printable, span, tail


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain text\n\twith äöü 日本 🙂", "plain text\n\twith äöü 日本 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hcleared", "cleared"),
        ("\x1b]0;evil title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\sixel", "sixel"),
        ("over\rwritten\b\x07", "overwritten"),
        ("\x9b31mC1", "31mC1"),
        ("\x1bcreset", "reset"),
        ("half \x1b[3", "half 3"),
        ("\x1b]0;a title without an end", "0;a title without an end"),
        ("\x7f\x00", ""),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(said: str, shown: str) -> None:
    assert printable(said) == shown


def test_an_escape_split_over_two_tokens_is_harmless() -> None:
    """Each half alone holds nothing that a terminal obeys."""
    assert printable("\x1b") + printable("[31mred") == "[31mred"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0.0 s"), (0.42, "0.4 s"), (71, "71 s"), (720, "12 min"), (19_800, "5.5 h"), (259_200, "3 d")],
)
def test_lengths_of_time_have_one_unit(seconds: float, shown: str) -> None:
    assert span(timedelta(seconds=seconds)) == shown


def test_never_is_a_hyphen() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert ago(None, now) == "-"
    assert ago(now - timedelta(seconds=12), now) == "12 s ago"


def test_the_tail_of_a_text_is_one_line() -> None:
    """As wide as there is room for, without what a terminal would obey."""
    assert tail("one\n\n two\x1b[2J three", 20) == "one two three"
    assert tail("one two three", 8) == "…o three"
