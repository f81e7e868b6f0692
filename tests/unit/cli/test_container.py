"""The container's first word picks what it becomes."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from devteam_cli.container import SERVICES, command_of


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["registry"], ["devteam_registry"]),
        (["router"], ["devteam_router"]),
        (["router", "--help"], ["devteam_router", "--help"]),
        (["planner"], ["devteam_planner"]),
        (["worker"], ["devteam_worker", "start"]),
        (["worker", "join", "TOKEN"], ["devteam_worker", "join", "TOKEN"]),
        (["devteam-worker", "status"], ["devteam_worker", "status"]),
        (["ui", "--host", "0.0.0.0"], ["devteam_cli", "ui", "--host", "0.0.0.0"]),
        (["migrate", "--database", "URL"], ["devteam_cli", "migrate", "--database", "URL"]),
        (["devteam", "health", "URL"], ["devteam_cli", "health", "URL"]),
        (["devteam"], ["devteam_cli"]),
    ],
)
def test_the_first_word_picks_the_module(words: list[str], command: list[str]) -> None:
    assert command_of(words) == command
    assert find_spec(f"{command[0]}.__main__") is not None


@pytest.mark.parametrize("words", [[], ["sh"], ["-c", "true"], ["registry.app"]])
def test_what_is_no_service_is_refused_with_what_there_is(words: list[str]) -> None:
    with pytest.raises(ValueError, match="say one of registry, router, planner, worker, ui, migrate, devteam,"):
        command_of(words)


@pytest.mark.parametrize("service", SERVICES)
def test_services_take_no_arguments(service: str) -> None:
    with pytest.raises(ValueError, match=f"DEVTEAM_{service.upper()}_"):
        command_of([service, "--port", "1"])


def test_the_process_says_so_and_ends() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "devteam_cli.container", "shell"),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("error: 'shell' is no service of this image")


def test_the_process_becomes_what_is_asked_for() -> None:
    """The same process id: signals reach the service without a go-between."""
    process = subprocess.Popen(
        (sys.executable, "-m", "devteam_cli.container", "devteam", "--help"), stdout=subprocess.PIPE, text=True
    )
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Run LLM agents on a mesh of machines." in told
