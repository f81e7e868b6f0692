"""The reader who tries the pages out, tried out."""

import os
from pathlib import Path

import pytest

from tests.docs.blocks import Block, parsed
from tests.docs.visit import Visit, missing_tools


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    return Visit(tmp_path, {"PATH": os.environ["PATH"]}, {"TASK": "t-1"}, {"127.0.0.1:7400": "127.0.0.1:4711"})


def block(*lines: str, language: str = "sh") -> Block:
    [found] = parsed("page.md", "\n".join((*lines[:-1], f"```{language}", lines[-1], "```")))
    return found


def test_a_command_that_fails_is_told_with_its_place(visit: Visit) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1 exits with 1\nonce"):
        visit.shell(block("echo once\nfalse\necho never"))


def test_a_failure_in_a_pipe_counts(visit: Visit) -> None:
    with pytest.raises(AssertionError):
        visit.shell(block("false | cat"))


def test_an_exit_code_that_was_announced_is_no_failure(visit: Visit) -> None:
    visit.shell(block("<!-- exits: 3 -->", "exit 3"))


def test_variables_last(visit: Visit) -> None:
    visit.shell(block("NAME=$(echo 'two words')"))
    visit.shell(block('test "$NAME" = "two words"'))


def test_what_only_the_mesh_knows_is_filled_in(visit: Visit) -> None:
    visit.shell(block('test "TASK TASK_ID http://127.0.0.1:7400" = "t-1 t-1 http://127.0.0.1:4711"'))


def test_what_is_left_out_is_not_typed(visit: Visit) -> None:
    visit.shell(
        block("<!-- without: false (it fails) -->", "<!-- without: exit ... (as above) -->", "false  # no\nexit 1")
    )


def test_on_a_console_answers_are_not_typed(visit: Visit) -> None:
    visit.shell(block("$ echo said > file\nfalse\n$ grep said file", language="console"))


def test_what_never_ends_is_stopped_once_it_has_said_enough(visit: Visit) -> None:
    visit.shell(block("<!-- until: begun -->", "echo begun; sleep 600"))


def test_a_program_that_fails_is_told(visit: Visit) -> None:
    visit.python(block("print('well')", language="python"))
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        visit.python(block("1 / 0", language="python"))


def test_a_file_of_the_page_is_there_for_its_commands(visit: Visit) -> None:
    visit.write(block("<!-- file: plans/one.yaml -->", "name: TASK", language="yaml"))
    visit.shell(block("grep 'name: t-1' plans/one.yaml"))


def test_programs_that_a_reader_lacks_are_named(tmp_path: Path) -> None:
    assert missing_tools(block("curl -s x | jq .\necho grpcurl"), str(tmp_path)) == ["curl", "jq"]
