from collections.abc import AsyncIterator

import pytest

from tests.fakes.mesh_server import ScriptedMesh, scripted_mesh


@pytest.fixture
async def mesh() -> AsyncIterator[ScriptedMesh]:
    """A Registry and a Router that do as the test says."""
    async with scripted_mesh() as served:
        yield served
