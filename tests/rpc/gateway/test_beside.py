"""The front door beside a mesh on this machine: the page is behind it, and it is missed when it dies."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from devteam_cli.data_folder import DataFolder
from devteam_cli.gateway.beside import gateway_beside

from devteam.errors import FailedPrecondition, Unavailable
from devteam.mesh.server import Listen
from devteam.testing import FakeMesh
from tests.fakes.gateway import skip_without_envoy
from tests.rpc.page.serving import browsing, events_at, page_of


async def test_the_page_and_the_api_of_a_mesh_are_at_one_port(folder: Path) -> None:
    skip_without_envoy()
    async with (
        FakeMesh() as mesh,
        page_of(mesh) as page,
        gateway_beside(Listen(port=0), mesh.url, page, DataFolder(folder)) as url,
        browsing(url) as http,
    ):
        async with events_at(http, "/page/live") as events:
            await events.news_with("workers", "fake-1")
        assert "<!doctype html>" in (await http.get("/")).text
        assert [it["workerId"] for it in (await http.get("/api/workers")).json()["workers"]] == ["fake-1"]
        # The page has words of its own for browsers, and keeps them.
        assert "script-src 'self'" in (await http.get("/")).headers["content-security-policy"]


async def test_who_started_it_hears_when_it_dies(folder: Path) -> None:
    skip_without_envoy()
    with pytest.raises(ExceptionGroup) as missed:
        await _killed_beside_a_mesh(folder)
    [error] = missed.value.exceptions
    assert isinstance(error, Unavailable)
    assert f"the gateway ended with code -9, see {folder}/gateway.log" in error.message


async def test_its_folder_may_have_a_long_name(folder: Path) -> None:
    """Longer than the name of a socket may be."""
    skip_without_envoy()
    deep = folder / ("d" * 120)
    deep.mkdir()
    async with (
        FakeMesh() as mesh,
        gateway_beside(Listen(port=0), mesh.url, "", DataFolder(deep)) as url,
        browsing(url) as http,
    ):
        assert (await http.get("/healthz")).text == "ok\n"


async def test_it_is_not_reached_from_elsewhere_by_accident(folder: Path) -> None:
    skip_without_envoy()
    with pytest.raises(FailedPrecondition, match="insecure-i-know"):
        async with gateway_beside(Listen(host="0.0.0.0", port=0), "http://127.0.0.1:1", "", DataFolder(folder)):
            pass


async def _killed_beside_a_mesh(folder: Path) -> None:
    async with FakeMesh() as mesh, gateway_beside(Listen(port=0), mesh.url, "", DataFolder(folder)):
        os.kill(_envoy_on(folder), signal.SIGKILL)
        # What goes on beside it is given up.
        await asyncio.Event().wait()


def _envoy_on(folder: Path) -> int:
    """The process whose working folder this is."""
    place = (folder / "gateway").resolve()
    return next(int(it.name) for it in Path("/proc").iterdir() if it.name.isdigit() and _folder_of(it) == place)


def _folder_of(process: Path) -> Path | None:
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None
