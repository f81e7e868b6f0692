from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.rpc.tenants.matrix import Tenants, tenants


@pytest.fixture
async def mesh(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Tenants]:
    """All services, with things of two tenants in them."""
    async with tenants(clock, tmp_path) as filled:
        yield filled
