"""A Router on a bench. Whatever a test does with it, nothing is left over once everyone has gone."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench


@pytest.fixture
async def bench(clock: FakeClock) -> AsyncIterator[RouterBench]:
    bench = RouterBench(clock)
    yield bench
    assert await bench.wind_down() == []
