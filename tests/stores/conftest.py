from collections.abc import AsyncIterator

import pytest
from devteam_planner.ports import PlanStore
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.store.sql_plans import SqlPlanStore

from tests.stores.planner_databases import BACKENDS, backend, opened


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PlanStore]:
    """An empty plan store of every kind in turn."""
    url, cipher = backend(request)
    if url == "memory":
        yield MemoryPlanStore()
        return
    async with opened(url) as database:
        yield SqlPlanStore(database, cipher)
