"""How a process ends."""

import subprocess
import sys

import pytest

from devteam.mesh.errors import (
    Aborted,
    DevTeamError,
    FailedPrecondition,
    Internal,
    InvalidInput,
    Unavailable,
    Violation,
)
from devteam.mesh.process import run


def ended(error: BaseException) -> int:
    """The exit code of a process whose work raises `error`."""

    async def main() -> None:
        raise error

    with pytest.raises(SystemExit) as exited:
        run(main)
    return int(str(exited.value.code))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedPrecondition("the port is taken"), 78),
        (Unavailable("the database is away"), 69),
        (Aborted("another one took over"), 1),
        (Internal("a defect"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_says_whether_to_try_again(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error) == code
    said = f"error: {error.message}\n" if isinstance(error, DevTeamError) else ""
    assert capsys.readouterr().err == said


def test_every_violation_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(InvalidInput(Violation("PORT", "X", "is taken"), Violation("", "X", "the file is empty"))) == 78
    assert capsys.readouterr().err == "error: PORT: is taken\nerror: the file is empty\n"


def test_a_refusal_of_something_that_ran_beside_others_counts(capsys: pytest.CaptureFixture[str]) -> None:
    refused = ExceptionGroup("jobs", [ExceptionGroup("inner", [Unavailable("gone")])])
    assert ended(refused) == 69
    assert capsys.readouterr().err == "error: gone\n"


def test_a_defect_is_never_hidden() -> None:
    async def main() -> None:
        raise ExceptionGroup("jobs", [Unavailable("gone"), ValueError("a defect")])

    with pytest.raises(ExceptionGroup):
        run(main)


def spoken(end: str) -> "subprocess.CompletedProcess[str]":
    """What is left of a process that says its last word and then comes to this end."""
    program = f"""
import atexit, sys
from devteam.mesh.process import leave, whole
atexit.register(print, "taken apart")
sys.stdout.write("last word")
{end}
"""
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("ended", "code"), [("0", 0), ("69", 69), ("None", 0), ("'a word'", 1)])
@pytest.mark.parametrize("end", ["leave(SystemExit({}))", "whole(lambda: sys.exit({}))"])
def test_a_process_that_leaves_says_all_it_has_to_say_and_nothing_afterwards(end: str, ended: str, code: int) -> None:
    """What an interpreter does while it is taken apart is where threads of native libraries abort it."""
    done = spoken(end.format(ended))
    assert (done.returncode, done.stdout) == (code, "last word")


def test_work_that_comes_to_its_end_was_all_that_the_process_is_there_for() -> None:
    done = spoken("whole(lambda: None)")
    assert (done.returncode, done.stdout) == (0, "last word")


def test_a_defect_ends_a_process_as_it_does_any_other() -> None:
    done = spoken("whole(lambda: 1 / 0)")
    assert (done.returncode, done.stdout) == (1, "last wordtaken apart\n")
    assert "ZeroDivisionError" in done.stderr
