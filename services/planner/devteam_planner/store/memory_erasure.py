"""Plans that are taken out of this process's memory."""

from collections.abc import Collection, Sequence

from devteam_planner.erasure import Head
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore


class MemoryErasures:
    """See erasure.ErasureStore."""

    def __init__(self, plans: MemoryPlanStore, tokens: MemoryTokenStore) -> None:
        self._plans = plans
        self._tokens = tokens

    async def heads(self, *, sole: bool, after: str, limit: int) -> list[Head]:
        """See the port."""
        found = sorted(plan_id for plan_id, plan in self._plans.all_plans().items() if plan.sole is sole)
        plans = [self._plans.all_plans()[plan_id] for plan_id in found if plan_id > after][:limit]
        return [Head(plan.plan_id, plan.tenant, plan.created_at, plan.ended_at) for plan in plans]

    async def open_of(self, plan_ids: Collection[str]) -> set[str]:
        """See the port."""
        plans = self._plans.all_plans()
        return {plan_id for plan_id in plan_ids if plan_id in plans and plans[plan_id].ended_at is None}

    async def erase(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        """See the port."""
        plans = self._plans.all_plans()
        ended = [plan_id for plan_id in plan_ids if plan_id in plans and plans[plan_id].ended_at is not None]
        tasks = [task_id for plan_id in ended for task_id in self._plans.forget(plan_id)]
        self._tokens.forget(tasks)
        return len(ended), len(tasks)

    async def scrub(self) -> None:
        """See the port."""
