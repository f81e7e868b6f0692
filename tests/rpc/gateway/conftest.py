"""One mesh and one Envoy for all tests of a file."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.fakes.echoing_mesh import EchoingMesh, echoing_mesh
from tests.fakes.gateway import Gateway, gateway, place_of


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def echoing() -> AsyncIterator[EchoingMesh]:
    async with echoing_mesh() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(echoing: EchoingMesh, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(place_of(echoing.port), tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(door: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with door.http() as client:
        yield client


@pytest.fixture
def mesh(echoing: EchoingMesh) -> EchoingMesh:
    """The mesh, without what earlier tests left."""
    echoing.calls.clear()
    echoing.says.clear()
    echoing.came.clear()
    return echoing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the files of an Envoy of the test's own."""
    path = tmp_path / "gateway"
    path.mkdir()
    return path
