from collections.abc import AsyncIterator

import pytest

from tests.fakes.clock import FakeClock
from tests.rpc.router.mesh import Mesh, running


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[Mesh]:
    async with running(clock) as started:
        yield started
