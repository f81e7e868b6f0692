from collections.abc import AsyncIterator

import pytest

from tests.fakes.clock import FakeClock
from tests.rpc.planner.mesh import Mesh, running


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[Mesh]:
    """A Planner that remembers nothing on disk."""
    async with running(clock) as started:
        yield started
