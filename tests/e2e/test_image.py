"""What the container image holds is enough for every part of a mesh, and nothing of it wants to write."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from devteam_cli.ports import free_port

from tests.e2e.image import Image, build
from tests.e2e.programs import Program

pytestmark = pytest.mark.e2e

PATIENCE = 60.0
ALL = {
    "registry": "devteam.v1.RegistryService",
    "router": "devteam.v1.RouterService",
    "planner": "devteam.v1.PlannerService",
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(tmp_path_factory.mktemp("image"))


def health(image: Image, port: int, service: str) -> "subprocess.CompletedProcess[str]":
    return image.ran("devteam", "health", f"http://127.0.0.1:{port}", service)


def serving(image: Image, port: int, service: str) -> None:
    """Wait as an orchestrator does: by probing again."""
    until = time.monotonic() + PATIENCE
    while (done := health(image, port, service)).returncode != 0:
        assert time.monotonic() < until, done.stderr


class Parts:
    """A mesh whose every part is a container of the image."""

    def __init__(self, image: Image, folder: Path, stack: ExitStack) -> None:
        self.image = image
        self.ports = {name: free_port() for name in ALL}
        at = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        told = {
            "registry": {"ROUTER_ADDRESSES": json.dumps([at["router"]])},
            "router": {"REGISTRY_ADDRESS": at["registry"]},
            # Relative: the working folder is the one that may be written to.
            "planner": {"ROUTER_ADDRESS": at["router"], "DATABASE_URL": "sqlite:///planner.db"},
        }
        self.running: dict[str, Program] = {}
        for name, port in self.ports.items():
            variables = {
                f"DEVTEAM_{name.upper()}_{key}": value for key, value in {"PORT": str(port), **told[name]}.items()
            }
            container = image.running(name, log=folder / f"{name}.log", **variables)
            self.running[name] = stack.enter_context(container)
        self.registry_url = at["registry"]


@pytest.fixture(scope="module")
def parts(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with ExitStack() as stack:
        yield Parts(image, tmp_path_factory.mktemp("logs"), stack)


@pytest.mark.parametrize("name", ALL)
def test_each_service_serves(image: Image, parts: Parts, name: str) -> None:
    serving(image, parts.ports[name], ALL[name])
    done = health(image, parts.ports[name], "devteam.v1.Nothing")
    assert (done.returncode, done.stderr) == (3, "error: no service named 'devteam.v1.Nothing'\n")


def test_a_worker_takes_work(parts: Parts, tmp_path: Path) -> None:
    told = {"DEVTEAM_API_URL": parts.registry_url, "DEVTEAM_QUEUE": "q", "DEVTEAM_WORKER_ID": "pod-1"}
    with parts.image.running("worker", log=tmp_path / "worker.log", **told) as worker:
        worker.line("^Ready$")


def test_the_page_is_served(image: Image, parts: Parts, tmp_path: Path) -> None:
    told = {"DEVTEAM_API_URL": parts.registry_url}
    with image.running("ui", "--port", "0", log=tmp_path / "ui.log", **told) as ui:
        url = ui.line(r"^Page: (http://127\.0\.0\.1:\d+)$")[1]
        # Its files are in the wheel; and who answers hears signals, too.
        assert b"<!doctype html>" in httpx.get(url, timeout=PATIENCE).content.lower()


def test_schemas_are_migrated(image: Image) -> None:
    done = image.ran("migrate", DEVTEAM_DATABASE_URL="sqlite:///mesh.db")
    assert done.returncode == 0, done.stderr
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {"planner", "registry"}


def test_the_rest_of_the_machine_is_read_only_for_it(image: Image) -> None:
    """Else these tests would show nothing."""
    done = image.ran("devteam", "simulate", "--example")
    assert done.returncode == 0
    refused = image.ran("devteam", "up", "--data", str(image.root / "opt" / "data"))
    assert refused.returncode != 0
    assert "read-only file system" in refused.stderr


def test_nothing_of_this_checkout_is_used(image: Image) -> None:
    assert (image.site / "devteam_cli" / "container.py").exists()
    assert not any(path.suffix == ".pth" for path in image.site.iterdir() if path.name != "distutils-precedence.pth")
    assert os.path.realpath(image.site / "devteam").startswith(str(image.root))
