"""docs/data.md, carried out: every command on the page works as it stands there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import PATIENCE, REPOSITORY, Mesh, devteam, environment

pytestmark = pytest.mark.e2e

PAGE = REPOSITORY / "docs" / "data.md"


def test_every_command_works_as_it_stands_on_the_page(mesh: Mesh, tmp_path: Path) -> None:
    """In one shell, beside a Planner's database and a mesh."""
    env = environment(DEVTEAM_API_URL=mesh.url)
    assert devteam("migrate", "--database", f"sqlite:///{tmp_path}/planner.db", env=env).returncode == 0
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    done = subprocess.run(
        ("bash", "-e"),
        input="".join(blocks),
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tasks: 0 changed" in done.stdout
    assert "erased: 0 plans with 0 tasks" in done.stdout
