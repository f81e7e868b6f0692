"""What the devteam-worker command refuses, and how it says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from devteam_worker.cli import app
from devteam_worker.command_line import seconds_of
from typer.testing import CliRunner

# Nothing that whoever runs the tests has set decides what the command is told.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("DEVTEAM_", "OTEL_", "OLLAMA_"))}


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], env=ENVIRON, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_violation_of_a_worker_file_has_its_line(tmp_path: Path) -> None:
    """On stderr, with what was probably meant; nothing else is said, and the exit code is that of wrong settings."""
    file = tmp_path / "worker.yaml"
    file.write_text("worker: {queus: [{name: default}], heartbeat: {intervallMs: 5}, logLevel: loud}\n")
    refused = python("-m", "devteam_worker", "start", "--config", str(file))
    assert refused.stderr.splitlines() == [
        "error: worker.queus: unknown key; did you mean queues?",
        "error: worker.heartbeat.intervallMs: unknown key; did you mean intervalMs?",
        "error: worker.logLevel: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
    ]
    assert (refused.returncode, refused.stdout) == (78, "")


def test_a_variable_is_named_as_it_was_set() -> None:
    refused = CliRunner().invoke(app, ["start"], env={"DEVTEAM_CONCURRENCY": "many"})
    assert refused.stderr.startswith("error: DEVTEAM_CONCURRENCY: must be a valid integer")
    assert (refused.exit_code, refused.stdout) == (78, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "missing.yaml"], "'missing.yaml'"),
        (["--alias", "fast"], "'fast' is not of the form NAME=MODEL"),
        (["--alias", "=sim"], "'=sim' is not of the form NAME=MODEL"),
        (["--drain-deadline", "0"], "'0' is not from 1ms to 1d"),
        (["--drain-deadline", "25h"], "'25h' is not from 1ms to 1d"),
        (["--drain-deadline", "soon"], "'soon' is no length of time; write 90s, 15m, 2h or 1d"),
        (["--concurrency", "0"], "equal to 1"),
        (["--queue", ""], "must not be empty"),
        (["--queue", "default", "--queue", " "], "must not be empty"),
        (["--model", ""], "must not be empty"),
        (["--provider", ""], "must not be empty"),
        (["--api-url", ""], "must not be empty"),
        (["--id", ""], "must not be empty"),
        (["--log-level", ""], "must not be empty"),
        (["--colour", "red"], "No such option: --colour"),
    ],
)
def test_a_wrong_flag_is_refused(arguments: list[str], said: str) -> None:
    # What is not refused by its flag is refused by this variable, so that nothing starts to work here.
    environ = {"TERM": "dumb", "COLUMNS": "120", "DEVTEAM_WEIGHT": "0"}
    refused = CliRunner().invoke(app, ["start", *arguments], env=environ)
    assert arguments[0] in refused.stderr
    assert said in refused.stderr
    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("soon", "'soon' is no length of time; write 90s, 15m, 2h or 1d"),
        ("", "'' is no length of time"),
        ("8d", "'8d' is not from 0s to 7d"),
    ],
)
def test_a_deadline_that_is_none_is_refused_before_anything_drains(tmp_path: Path, given: str, said: str) -> None:
    arguments = ["drain", "--deadline", given, "--data", str(tmp_path)]
    refused = CliRunner().invoke(app, arguments, env={"TERM": "dumb", "COLUMNS": "120"})
    assert f"Invalid value for --deadline: {said}" in refused.stderr
    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("200ms", 0.2), ("1.5m", 90.0), ("2h", 7200.0), ("1d", 86_400.0)]
)
def test_lengths_of_time_are_read_as_everywhere(text: str, seconds: float) -> None:
    assert seconds_of("--deadline", text, least="0s", most="1d") == seconds


def test_the_patience_of_a_drain_is_told_in_words() -> None:
    helped = CliRunner().invoke(app, ["drain", "--help"], env={"TERM": "dumb", "COLUMNS": "120"})
    assert "[default: a week]" in " ".join(helped.stdout.split())
    assert "604800" not in helped.stdout


@pytest.mark.parametrize("command", ["start", "status", "stop", "restart", "drain", "logs", "config show", "doctor"])
def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path: Path, command: str) -> None:
    """In a line, by every command; doctor has its findings. Root may look anywhere, but not at a name this long."""
    data = tmp_path / ("x" * 300)
    refused = CliRunner().invoke(
        app, [*command.split(), "--data", str(data)], env={"DEVTEAM_API_URL": "http://[::1]:1"}
    )
    said = refused.stdout if command == "doctor" else refused.stderr
    assert f"{data}" in said
    assert "File name too long" in said
    assert refused.exit_code in {1, 78}
    assert isinstance(refused.exception, SystemExit)


def test_help_names_what_can_be_told() -> None:
    helped = CliRunner().invoke(app, ["start", "--help"], env={"TERM": "dumb", "COLUMNS": "120"})
    for option in ("--config", "--queue", "--api-url", "--id", "--alias", "--weight", "--drain-deadline"):
        assert option in helped.stdout
    assert (helped.exit_code, helped.stderr) == (0, "")


def test_help_says_all_that_it_has_to_say() -> None:
    """Also what stands in brackets, which is no markup; and nothing around it that breaks in a narrow terminal."""
    helped = CliRunner().invoke(app, ["start", "--help"], env={"TERM": "dumb", "COLUMNS": "60"})
    words = " ".join(helped.stdout.split())
    assert "Address of the mesh [default: http://127.0.0.1:7400]." in words
    assert "Stable id [default: host name and queue]." in words
    assert "--data <path>" in words


@pytest.mark.parametrize("command", ["", "start", "join", "config", "config show", "service", "service install"])
def test_help_looks_as_that_of_devteam(command: str) -> None:
    helped = CliRunner().invoke(app, [*command.split(), "--help"], env={"TERM": "dumb", "COLUMNS": "60"})
    assert helped.exit_code == 0
    assert "\nOptions:\n" in helped.stdout
    assert "<bool>" not in helped.stdout


def test_help_is_quick() -> None:
    """It waits for nothing that takes its time to import."""
    program = (
        "import os, sys\n"
        "os._exit = sys.exit\n"
        "from devteam_worker.cli import run\n"
        "sys.argv = ['devteam-worker', '--help']\n"
        "try:\n    run()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    helped = python("-c", program)
    assert "Runs tasks of a DevTeam mesh on this machine." in helped.stdout
    slow = {"grpc", "google.protobuf", "pydantic", "opentelemetry", "structlog", "anthropic", "ollama", "psutil"}
    assert slow & set(helped.stderr.split()) == set()
    assert "devteam_worker.cli" in helped.stderr
