"""Either command says which version it is."""

import pytest
from devteam_cli.main import app as devteam
from devteam_worker.cli import app as devteam_worker
from typer import Typer
from typer.testing import CliRunner

from devteam.mesh.version import version


@pytest.mark.parametrize("command", [devteam, devteam_worker])
def test_a_command_says_its_version(command: Typer) -> None:
    ran = CliRunner().invoke(command, ["--version"])
    assert (ran.exit_code, ran.stdout) == (0, f"{version()}\n")
