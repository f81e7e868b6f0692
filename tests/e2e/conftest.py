"""A mesh of real processes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devteam.client import DevTeamClient
from tests.e2e.programs import GRACE, PATIENCE, Mesh, up


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One mesh for all tests that leave each other alone; its local worker serves the research pipeline's queues."""
    queues = ("--queue", "default", "--queue", "research-queue", "--queue", "gpu-queue")
    with up(tmp_path_factory.mktemp("mesh"), *queues, **GRACE) as running:
        yield running
        running.stop()


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[DevTeamClient]:
    """A client of the shared mesh."""
    async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
        yield client
