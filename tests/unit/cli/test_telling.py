"""What happens in a mesh, as a client sees it."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devteam_cli.story import Story
from devteam_cli.telling import told

from devteam.errors import NotFound, Unavailable
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.sightings import TasksSeen, WorkersSeen
from devteam.specs import TaskSpec

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def step(step_id: str, state: TaskState, ended: float | None = None) -> Task:
    return Task(
        id=f"p-1.{step_id}",
        plan_id="p-1",
        step_id=step_id,
        state=state,
        spec=TaskSpec(prompt="", model="m"),
        created_at=NOON - timedelta(hours=1),
        ended_at=None if ended is None else NOON + timedelta(seconds=ended),
    )


class Client:
    """Sees what it is given, and finds the plan at the second try."""

    def __init__(self, *looks: TasksSeen) -> None:
        self._looks = looks
        self._tries = 0

    async def watch_tasks(self, since: datetime) -> AsyncGenerator[TasksSeen, None]:
        for look in self._looks:
            yield look

    async def watch_workers(self) -> AsyncGenerator[WorkersSeen, None]:
        yield WorkersSeen(current=True)
        await asyncio.Event().wait()

    async def get_plan(self, plan_id: str) -> Plan:
        self._tries += 1
        if self._tries == 1:
            raise Unavailable("the planner is away")
        tasks = (step("a", TaskState.SUCCEEDED, -60), step("b", TaskState.SUCCEEDED, 5))
        return Plan(id=plan_id, name="", state=PlanState.SUCCEEDED, tasks=tasks)


async def kinds(client: Any, *, follow: bool) -> list[str]:
    parts = [part async for part in told(client, Story(NOON), lambda: NOON, follow=follow)]
    return [happening.kind for part in parts for happening in part]


OPEN = TasksSeen((step("b", TaskState.RUNNING),), current=True)
ENDED = TasksSeen((step("b", TaskState.SUCCEEDED, 5),), current=True)


async def test_a_plan_that_cannot_be_looked_up_is_looked_up_later() -> None:
    """Following goes on meanwhile."""
    client = Client(OPEN, ENDED, TasksSeen(interrupted="gone"))
    assert await kinds(client, follow=True) == ["task.succeeded", "mesh.interrupted", "plan.succeeded"]


async def test_a_plan_that_was_erased_meanwhile_is_gone_and_following_goes_on() -> None:
    """Once: it is not looked for again."""

    class Erased(Client):
        async def get_plan(self, plan_id: str) -> Plan:
            self._tries += 1
            assert self._tries == 1
            raise NotFound("plan", plan_id)

    later = TasksSeen(interrupted="gone")
    followed = await kinds(Erased(OPEN, ENDED, later), follow=True)
    assert sorted(followed) == ["mesh.interrupted", "plan.gone", "task.succeeded"]
    assert {"plan.gone", "task.succeeded"} <= {*await kinds(Erased(ENDED, later), follow=False)}


async def test_a_beginning_that_is_not_whole_is_none() -> None:
    with pytest.raises(Unavailable):
        await kinds(Client(ENDED), follow=False)
