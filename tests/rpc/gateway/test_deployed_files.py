"""What compose and Kubernetes have the image write for Envoy is what Envoy takes, and where it is told to look."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from devteam_cli.gateway import admin
from devteam_cli.gateway.envoy import envoy
from devteam_cli.gateway.folder import GatewayFolder
from devteam_cli.main import app
from devteam_cli.ports import free_port
from typer.testing import CliRunner

from scripts.locked import ROOT
from tests.fakes.certificates import certificate
from tests.fakes.compose_file import TOLD, compose_file
from tests.fakes.gateway import skip_without_envoy
from tests.unit.deploy.rendered import OVERLAYS, cluster

PLACES = ("compose", *OVERLAYS)


def container(place: str) -> tuple[list[str], list[str], str]:
    """The words that write the files, those that start Envoy, and the folder that it starts in."""
    if place == "compose":
        parts: Any = compose_file(ROOT / "deploy" / "compose.yaml", TOLD)["services"]
        return parts["gateway-config"]["command"], parts["gateway"]["command"], "/data"
    spec = cluster(place).pod("devteam-gateway").spec
    [config], [envoy] = spec["initContainers"], spec["containers"]
    return config["args"], envoy["args"], envoy["workingDir"]


def here(word: str, certificates: Path) -> str:
    """A word of the command, with files and a port of this test in the place of the container's."""
    option, mark, value = word.partition("=")
    if option == "--listen":
        return f"{option}=127.0.0.1:{free_port()}"
    if not value.startswith("/"):
        return word
    return f"{option}{mark}{certificates / ('key.pem' if value.endswith('.key') else 'certificate.pem')}"


@pytest.mark.parametrize("place", PLACES)
async def test_envoy_takes_what_the_image_writes(place: str, tmp_path: Path) -> None:
    """As it runs on it: what it refuses of files beside the first one it says while it runs."""
    skip_without_envoy()
    certificate(tmp_path, since=-timedelta(days=1), until=timedelta(days=1))
    words, start, there = container(place)
    assert (words[:4], tuple(start)) == (
        ["devteam", "gateway", "config", there],
        ("--config-path", "shared/envoy.yaml"),
    )
    folder = GatewayFolder(tmp_path / "envoy")
    options = [here(word, tmp_path) for word in words[4:]]
    done = await asyncio.to_thread(CliRunner().invoke, app, ["gateway", "config", str(folder.path), *options])
    assert done.exit_code == 0, done.output
    everywhere = ROOT / "deploy" / "envoy"
    same = [path.name for path in everywhere.iterdir() if path.read_bytes() == (folder.shared / path.name).read_bytes()]
    assert sorted(same) == ["devteam.binpb", "envoy.yaml", "front.yaml", "traced.yaml"]
    async with envoy(folder, tmp_path / "envoy.log"):
        counted = await admin.stats(folder.admin, "(update_rejected|update_failure)$")
        assert {name: count for name, count in counted.items() if count} == {}
        assert b"error_state" not in await admin.asked(folder.admin, "/config_dump")
