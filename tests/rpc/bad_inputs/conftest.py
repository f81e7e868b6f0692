from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from devteam_registry.settings import Settings

from tests.fakes.clock import FakeClock
from tests.rpc.planner import mesh as planner
from tests.rpc.registry import mesh as registry
from tests.rpc.router import mesh as router
from tests.rpc.secured import Secured, secured


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[planner.Mesh]:
    """A Planner."""
    async with planner.running(clock) as started:
        yield started


@pytest.fixture
async def fleet(clock: FakeClock) -> AsyncIterator[registry.Mesh]:
    """A Registry."""
    async with registry.running(Settings(database_url="memory"), clock) as started:
        yield started


@pytest.fixture
async def line(clock: FakeClock) -> AsyncIterator[router.Mesh]:
    """A Router."""
    async with router.running(clock) as started:
        yield started


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Secured]:
    """All of them, behind keys and TLS."""
    async with secured(tmp_path, creates_per_second=0.1, creates_burst=3, streams_per_key=2) as started:
        yield started
