"""Attempts in a plan store, and how they end."""

from datetime import timedelta

from devteam_planner.domain import Completion, Failure, FailureReason, Task, TaskState, Usage, WorkerInstance
from devteam_planner.ports import Ending, PlanStore

from tests.fakes.planner_samples import NOON, a_plan

LATER = NOON + timedelta(seconds=5)
W1 = WorkerInstance("w1", "i1")
LOST = Failure(FailureReason.WORKER_LOST, "w1 vanished", retryable=True, retry_after=1.5, usage=Usage(1, 2, 3, 4))
DONE = Completion("sim", "sim-1", "end_turn", Usage(10, 20, 3, 4, 0.125), 0.25)
SUCCESS = Ending(TaskState.SUCCEEDED, burns=False, output="grüner Tee", completion=DONE)
AGAIN = Ending(TaskState.QUEUED, burns=True, failure=LOST)


async def begun(store: PlanStore, task_id: str = "p-1.a") -> Task:
    """A task of a stored plan with its first attempt open."""
    await store.add(a_plan())
    task = await store.begin_attempt(task_id, after=0, reason="first attempt", now=NOON)
    assert task is not None
    return task


async def end(store: PlanStore, task_id: str, state: TaskState) -> None:
    """The first attempt of that task began and ended so."""
    await store.begin_attempt(task_id, after=0, reason="first attempt", now=NOON)
    assert await store.end_attempt(task_id, 1, None, Ending(state, burns=False, output="out"), LATER)
