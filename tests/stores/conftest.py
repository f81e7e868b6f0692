from collections.abc import AsyncIterator

import pytest
from devteam_planner.ports import PlanStore
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.store.sql_plans import SqlPlanStore

from tests.stores.planner_databases import BACKENDS, opened


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PlanStore]:
    """An empty plan store of every kind in turn."""
    if request.param == "memory":
        yield MemoryPlanStore()
        return
    async with opened(request.getfixturevalue(request.param)) as database:
        yield SqlPlanStore(database)
