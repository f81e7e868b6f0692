from collections.abc import AsyncIterator

import pytest
from devteam_registry.settings import Settings

from tests.fakes.clock import FakeClock
from tests.rpc.registry.mesh import Mesh, running


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[Mesh]:
    """A Registry that remembers nothing on disk."""
    async with running(Settings(database_url="memory", router_addresses=["127.0.0.1:7402"]), clock) as started:
        yield started
