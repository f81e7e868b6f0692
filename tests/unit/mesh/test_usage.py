"""What a service answers when it is started with arguments."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from devteam.mesh.settings import ServiceSettings, variable

SERVICES = ("registry", "router", "planner")


def started(service: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """It would run on, and is killed, if it took the arguments for nothing."""
    command = (sys.executable, "-m", f"devteam_{service}", *arguments)
    environ = os.environ | {"COLUMNS": "80", f"DEVTEAM_{service.upper()}_PORT": "0"}
    memory = {} if service == "router" else {f"DEVTEAM_{service.upper()}_DATABASE_URL": "memory"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ | memory)


@pytest.mark.parametrize("service", SERVICES)
def test_help_has_every_variable_with_its_meaning_and_its_default(service: str) -> None:
    settings: type[ServiceSettings] = import_module(f"devteam_{service}.settings").Settings
    done = started(service, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: python -m devteam_{service}\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    told = done.stdout.splitlines()
    for field in settings.model_fields:
        after = told[told.index(variable(f"DEVTEAM_{service.upper()}_", field)) + 1 :]
        meaning = " ".join(after[: [*after, ""].index("")])
        assert meaning.endswith("]")
        assert "None [" not in meaning


def test_defaults_are_written_as_the_variables_have_them() -> None:
    words = " ".join(started("registry", "--help").stdout.split())
    for part in (
        "postgresql+psycopg://USER:PASSWORD@HOST/NAME. [sqlite:///registry.db]",
        "DEVTEAM_REGISTRY_PORT The port to listen at; 0 takes a free one. [7401]",
        "up to date at the start. Off: `devteam migrate` does it, and until then no start succeeds. [true]",
        "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S Seconds between two beats of a worker. [30]",
        "they stay with the address that they registered at. [[]]",
        "DEVTEAM_REGISTRY_MESH_KEY_FILE The file that holds the mesh key. [none]",
        "beyond that its sender waits. 0: all. [8388608]",
        "DEBUG, INFO, WARNING or ERROR. [INFO]",
    ):
        assert part in words
    assert "capability-match or locality. [least-loaded]" in " ".join(started("router", "--help").stdout.split())


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("arguments", [("--port", "1"), ("help",), ("--help", "more")])
def test_any_other_argument_is_refused(service: str, arguments: tuple[str, ...]) -> None:
    """With the code for wrong command lines, and with what to use instead; nothing is started."""
    done = started(service, *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == (
        f"error: the {service} takes no arguments but --help: it is told by DEVTEAM_{service.upper()}_... variables\n"
    )
