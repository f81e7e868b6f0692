from collections.abc import AsyncIterator

import pytest
from devteam_planner.domain import TaskSpec

from devteam.mesh.tasks import background
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.step_bench import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench(HastyClock())
    await bench.add(TaskSpec(prompt="hi", model="sim"))
    async with background(bench.log.run):
        yield bench


@pytest.fixture
async def empty() -> AsyncIterator[Bench]:
    """A bench without a plan."""
    bench = Bench(HastyClock())
    async with background(bench.log.run):
        yield bench
