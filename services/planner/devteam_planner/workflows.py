"""The order in which the steps of a plan run, made durable.

History holds decisions: ids and outcomes. Prompts, outputs and tokens are in the store. Changes here must replay the
recorded histories of the tests, because plans that were started by an older version go on under the newer one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from devteam_planner import dag
    from devteam_planner.domain import TAKEOVER, Plan, StepOutcome, TaskState, task_id_of

# Names in histories; renaming one breaks every plan under way.
RUN_STEP = "run_step"
CLOSE_PLAN = "close_plan"

_FOR_EVER = timedelta(days=60)
_CLOSE_TIMEOUT = timedelta(seconds=30)
_RETRIES = RetryPolicy(initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=5))


@dataclass(frozen=True)
class PlanStep:
    """A step, and the positions of the steps it depends on: ids would make dense plans larger than Temporal allows."""

    step_id: str
    depends_on: list[int]


@dataclass(frozen=True)
class PlanInput:
    """What the workflow of a plan has to know; `ended` is filled in when it goes on in a new run.

    `takeover`: a step that Temporal hears nothing of for so many seconds is another Planner's.
    """

    plan_id: str
    steps: list[PlanStep]
    ended: dict[str, TaskState] = field(default_factory=dict)
    takeover: float = TAKEOVER


def plan_input(plan: Plan, takeover: float = TAKEOVER) -> PlanInput:
    """The workflow's input for `plan`, which must be loaded with its tasks."""
    if not plan.tasks:
        raise ValueError(f"plan {plan.plan_id} came without its tasks: its workflow would end it at once")
    positions = {task.step_id: position for position, task in enumerate(plan.tasks)}
    steps = [PlanStep(task.step_id, [positions[need] for need in task.depends_on]) for task in plan.tasks]
    return PlanInput(plan.plan_id, steps, takeover=takeover)


@workflow.defn(name="Plan")
class PlanWorkflow:
    """Starts each step once what it depends on has succeeded, and closes the plan when nothing is left to start."""

    @workflow.init
    def __init__(self, plan: PlanInput) -> None:
        self._plan = plan
        self._depends_on = {step.step_id: [plan.steps[need].step_id for need in step.depends_on] for step in plan.steps}
        self._ended = dict(plan.ended)
        self._started = list(plan.ended)
        self._cancelled = False

    @workflow.run
    async def run(self, _plan: PlanInput) -> str:
        """Run the plan to its end; the result is the plan's final state."""
        async with asyncio.TaskGroup() as group:
            self._start_ready(group)
        if self._is_unfinished():
            workflow.continue_as_new(replace(self._plan, ended=self._ended))
        state: str = await workflow.execute_local_activity(
            CLOSE_PLAN,
            self._plan.plan_id,
            result_type=str,
            start_to_close_timeout=_CLOSE_TIMEOUT,
            retry_policy=_RETRIES,
        )
        return state

    @workflow.signal
    def cancel(self) -> None:
        """Start no further step and no further attempt. What runs is stopped by way of the Router."""
        self._cancelled = True

    def _start_ready(self, group: asyncio.TaskGroup) -> None:
        if self._halts():
            return
        succeeded = [step_id for step_id, state in self._ended.items() if state is TaskState.SUCCEEDED]
        for step_id in dag.ready(self._depends_on, self._started, succeeded):
            self._started.append(step_id)
            group.create_task(self._drive(group, step_id))

    async def _drive(self, group: asyncio.TaskGroup, step_id: str) -> None:
        while not self._halts():
            outcome = await self._attempt(step_id)
            if outcome.state is not TaskState.QUEUED:
                self._ended[step_id] = outcome.state
                self._start_ready(group)
                return
            await self._pause(outcome.retry_after)

    async def _attempt(self, step_id: str) -> StepOutcome:
        try:
            outcome: StepOutcome = await workflow.execute_activity(
                RUN_STEP,
                args=[self._plan.plan_id, task_id_of(self._plan.plan_id, step_id)],
                result_type=StepOutcome,
                start_to_close_timeout=_FOR_EVER,
                heartbeat_timeout=timedelta(seconds=self._plan.takeover),
                retry_policy=_RETRIES,
                # Replay compares ids: a change that would give one step's outcome to another is found.
                activity_id=step_id,
                summary=step_id,
            )
        except ActivityError:
            workflow.logger.exception("step cannot be driven")
            return StepOutcome(TaskState.FAILED)
        return outcome

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._cancelled, timeout=seconds)

    def _halts(self) -> bool:
        """Nothing new starts: the plan is cancelled, or its history is so long that it must go on in a new run."""
        return self._cancelled or workflow.info().is_continue_as_new_suggested()

    def _is_unfinished(self) -> bool:
        """Whether there would be more to start, had the history not grown too long."""
        if self._cancelled:
            return False
        succeeded = [step_id for step_id, state in self._ended.items() if state is TaskState.SUCCEEDED]
        return bool(dag.ready(self._depends_on, list(self._ended), succeeded))
