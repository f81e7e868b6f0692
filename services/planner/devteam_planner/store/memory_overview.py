"""All tasks of a Planner that keeps them in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from devteam_planner.domain import Task, TaskState
from devteam_planner.overview import Count, Write
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore


class MemoryOverview:
    """See overview.Overview. There is no index: it looks at every task."""

    def __init__(self, plans: MemoryPlanStore, tokens: MemoryTokenStore) -> None:
        self._plans = plans
        self._tokens = tokens

    async def open(self, after: str, limit: int, whose: str = "") -> list[Task]:
        """See the port."""
        found = (
            task for task in self._plans.everything().values() if not task.state.ended and whose in ("", task.tenant)
        )
        return await self.tasks(sorted(task.task_id for task in found if task.task_id > after)[:limit])

    async def ended(self, since: datetime, limit: int, whose: str = "") -> list[str]:
        """See the port."""
        tasks = self._plans.everything()
        written = (tasks[write.task_id] for write in self._writes() if write.changed_at >= since)
        return [task.task_id for task in written if task.state.ended and whose in ("", task.tenant)][-limit:]

    async def writes(self, since: datetime, after: str, limit: int) -> list[Write]:
        """See the port."""
        return [write for write in self._writes() if (write.changed_at, write.task_id) > (since, after)][:limit]

    async def tasks(self, task_ids: Sequence[str]) -> list[Task]:
        """See the port."""
        tasks = self._plans.everything()
        return [_seen(tasks[task_id]) for task_id in task_ids if task_id in tasks]

    async def counts(self) -> list[Count]:
        """See the port."""
        running = [task for task in self._plans.everything().values() if task.state is TaskState.RUNNING]
        return [
            Count(task.task_id, task.attempt, await self._tokens.last_seq(task.task_id, task.attempt), task.tenant)
            for task in running
        ]

    def _writes(self) -> list[Write]:
        tasks, changed_at = self._plans.everything().values(), self._plans.changed_at
        writes = (Write(changed_at(task.task_id), task.task_id, task.version) for task in tasks)
        return sorted(writes, key=lambda write: (write.changed_at, write.task_id))


def _seen(task: Task) -> Task:
    return replace(task, spec=replace(task.spec, prompt="", system_prompt=""), output="")
