"""One browser for all tests of a file."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fakes.chromium import Chromium, chromium


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running
