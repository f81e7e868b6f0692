from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.mesh_server import ScriptedMesh, scripted_mesh
from tests.rpc.worker.machine import Machine


@pytest.fixture
async def mesh() -> AsyncIterator[ScriptedMesh]:
    """A Registry and a Router that do as the test says."""
    async with scripted_mesh() as served:
        yield served


@pytest.fixture
def machine(mesh: ScriptedMesh, tmp_path: Path) -> Machine:
    """Where workers run as processes of their own."""
    return Machine(mesh, tmp_path)


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in the test's own process leave its tracer provider to the tests that set one."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
