"""What is written on the command line."""

import io
from datetime import timedelta

import pytest
import typer
from devteam_cli import arguments


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert arguments.pairs("--label", ["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("pair", ["a", "=b"])
def test_a_pair_without_a_key_is_refused(pair: str) -> None:
    with pytest.raises(typer.BadParameter, match="KEY=VALUE"):
        arguments.pairs("--label", [pair])


def test_options_that_are_json_are_taken_as_such() -> None:
    given = ["n=8192", "t=0.5", "b=true", "s=[1, 2]", "w=words", 'q="7"']
    assert arguments.json_pairs("--option", given) == {
        "n": 8192,
        "t": 0.5,
        "b": True,
        "s": [1, 2],
        "w": "words",
        "q": "7",
    }


def test_lengths_of_time_are_read() -> None:
    assert arguments.length_of_time("15m") == timedelta(minutes=15)
    with pytest.raises(typer.BadParameter, match="write 90s"):
        arguments.length_of_time("soon")


def test_a_hyphen_reads_the_prompt_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from afar\n"))
    assert arguments.prompt_or_stdin("-") == "from afar\n"
    assert arguments.prompt_or_stdin("at hand") == "at hand"
    with pytest.raises(typer.BadParameter, match="empty"):
        arguments.prompt_or_stdin(" ")
