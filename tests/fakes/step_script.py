"""A step driver that plays what a test wrote down, on a real store."""

import asyncio
from collections import defaultdict, deque

from devteam_planner.domain import Plan, PlanState, StepOutcome, Task, TaskSpec, TaskState, task_id_of
from devteam_planner.ports import Ending
from devteam_planner.store.memory import MemoryPlanStore

from tests.fakes.clock import FakeClock

Scene = StepOutcome | Exception | asyncio.Event


class ScriptedDriver:
    """Every attempt of a step plays its next scene; a step without scenes left succeeds.

    An event is waited for, and then the next scene played. `begun` has the task ids of all attempts, in order.
    """

    def __init__(self, store: MemoryPlanStore, **scenes: list[Scene]) -> None:
        self._store = store
        self._scenes = defaultdict(deque[Scene], {name: deque(of_step) for name, of_step in scenes.items()})
        self._changed = asyncio.Condition()
        self.begun: list[str] = []
        self.most_at_once = 0
        self._running = 0

    async def run(self, plan_id: str, task_id: str) -> StepOutcome:
        task = await self._store.task(task_id)
        await self._note(task_id)
        outcome = await self._outcome(task.step_id)
        await self._store.begin_attempt(task_id, after=task.attempt, reason="scripted", now=FakeClock().now())
        ending = Ending(outcome.state, burns=False, output=f"{task.step_id} says")
        await self._store.end_attempt(task_id, task.attempt + 1, None, ending, FakeClock().now())
        self._running -= 1
        return outcome

    async def has_begun(self, count: int) -> None:
        """Wait for that many attempts."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= count)

    async def _note(self, task_id: str) -> None:
        async with self._changed:
            self.begun.append(task_id)
            self._changed.notify_all()
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)

    async def _outcome(self, step_id: str) -> StepOutcome:
        while scenes := self._scenes[step_id]:
            match scenes.popleft():
                case asyncio.Event() as gate:
                    await gate.wait()
                case Exception() as error:
                    self._running -= 1
                    raise error
                case StepOutcome() as outcome:
                    return outcome
        return StepOutcome(TaskState.SUCCEEDED)


def plan_of(plan_id: str, **depends_on: list[str]) -> Plan:
    """A plan of steps and what each depends on."""
    now = FakeClock().now()
    tasks = tuple(
        Task(
            task_id=task_id_of(plan_id, step_id),
            plan_id=plan_id,
            step_id=step_id,
            position=position,
            spec=TaskSpec(prompt=f"a secret of {step_id}", model="sim"),
            depends_on=tuple(needs),
            state=TaskState.PENDING,
            created_at=now,
        )
        for position, (step_id, needs) in enumerate(depends_on.items())
    )
    return Plan(plan_id, "a plan", PlanState.RUNNING, {}, now, tasks=tasks)
