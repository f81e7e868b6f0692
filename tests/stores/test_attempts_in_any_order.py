"""Whatever the order: attempts only increase, one is open at most, and nothing late is ever let in."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from devteam_planner.ports import PlanStore, TokenStore
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.attempt_machine import AttemptMachine
from tests.stores.planner_databases import opened

IN_MEMORY, ON_SQLITE = 500, 100

pytestmark = pytest.mark.timeout(600)


def play(machine: Callable[[], AttemptMachine], examples: int) -> None:
    rules = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # a game of that many steps on a machine that others load
    )
    before = AttemptMachine.played
    run_state_machine_as_test(machine, settings=rules)  # type: ignore[arg-type]  # whatever makes a machine
    assert AttemptMachine.played - before >= examples


def test_in_memory() -> None:
    plans = MemoryPlanStore()
    tokens = MemoryTokenStore(plans)
    with asyncio.Runner() as runner:
        play(lambda: AttemptMachine(runner.get_loop(), plans, tokens), IN_MEMORY)


def test_on_sqlite(sqlite_url: str) -> None:
    async def stores(stack: AsyncExitStack) -> tuple[PlanStore, TokenStore]:
        database = await stack.enter_async_context(opened(sqlite_url))
        return SqlPlanStore(database), SqlTokenStore(database)

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        plans, tokens = runner.run(stores(stack))
        try:
            play(lambda: AttemptMachine(runner.get_loop(), plans, tokens), ON_SQLITE)
        finally:
            runner.run(stack.aclose())
