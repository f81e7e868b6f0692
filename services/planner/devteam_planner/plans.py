"""Takes plans and tasks, keeps them, and stops them when asked to."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from opentelemetry import trace

from devteam.mesh import names
from devteam.mesh.clock import Clock
from devteam.mesh.errors import AlreadyExists, FailedPrecondition, ResourceExhausted, Unavailable
from devteam.mesh.ids import Ids
from devteam.mesh.trace_context import trace_id_of
from devteam_planner import cancels, tally
from devteam_planner.admission import Admission
from devteam_planner.bell import Bell
from devteam_planner.domain import (
    DEFAULT_TENANT,
    SOLE_STEP,
    Plan,
    PlanState,
    Step,
    Task,
    TaskSpec,
    TaskState,
    task_id_of,
)
from devteam_planner.ownership import find
from devteam_planner.ports import PlanStore, Router, Workflows

_log = structlog.get_logger()

_SWEEP_SECONDS = 2.0
_UNSTARTED = "accepted; waits for Temporal to start it"
# Plans that one round of the sweep starts.
_SWEEP_SIZE = 100


class Plans:
    """Every plan that was ever accepted. A task of its own is a plan of one step.

    A plan is accepted once it is stored; its row is the promise that its workflow will be started, by `sweep` if need
    be. All methods raise Unavailable when the store is. For those who look for what is `whose`, plans and tasks of
    other tenants do not exist; "" looks for everyone's.
    """

    def __init__(
        self,
        *,
        store: PlanStore,
        admission: Admission,
        workflows: Workflows,
        router: Router,
        bell: Bell,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store = store
        self._admission = admission
        self._workflows = workflows
        self._cancels = cancels.Cancels(store, router, clock, bell.ring)
        self._bell = bell
        self._clock = clock
        self._ids = ids

    async def create_plan(
        self,
        name: str,
        steps: Sequence[Step],
        inputs: Mapping[str, str],
        *,
        request_id: str = "",
        digest: str = "",
        tenant: str = DEFAULT_TENANT,
        trace_context: Mapping[str, str] | None = None,
    ) -> Plan:
        """Accept a plan of valid steps. The same request_id and digest, of the same tenant, answer with the same plan.

        Raises AlreadyExists for a request_id that came with another digest, ResourceExhausted when too much is open.
        """
        plan = Plan(
            plan_id=self._ids.new("p"),
            name=name,
            state=PlanState.PENDING,
            input=inputs,
            created_at=self._clock.now(),
            request_id=request_id,
            request_digest=digest,
            tenant=tenant,
            trace_context=trace_context or {},
        )
        return await self._accept(_with_tasks(plan, steps))

    async def create_task(
        self,
        spec: TaskSpec,
        *,
        request_id: str = "",
        digest: str = "",
        tenant: str = DEFAULT_TENANT,
        trace_context: Mapping[str, str] | None = None,
    ) -> Task:
        """Accept a task of its own; see create_plan."""
        plan = Plan(
            plan_id=self._ids.new("t"),
            name="",
            state=PlanState.PENDING,
            input={},
            created_at=self._clock.now(),
            sole=True,
            request_id=request_id,
            request_digest=digest,
            tenant=tenant,
            trace_context=trace_context or {},
        )
        return (await self._accept(_with_tasks(plan, [Step(SOLE_STEP, spec)]))).tasks[0]

    async def get_plan(self, plan_id: str, *, whose: str = "") -> Plan:
        """The plan with its tasks, outputs left out. Raises NotFound."""
        plan = await self._store.plan(plan_id)
        find(plan.tenant, whose, "plan", plan_id)
        return _told(plan)

    async def get_task(self, task_id: str, *, whose: str = "") -> Task:
        """The task with its output. Raises NotFound."""
        task = await self._store.task(task_id)
        find(task.tenant, whose, "task", task_id)
        if task.state is not TaskState.PENDING:
            return task
        return _told(replace(await self._store.head(task.plan_id), tasks=(task,))).tasks[0]

    async def list_plans(self, *, state: PlanState | None, before: str, limit: int, whose: str = "") -> list[Plan]:
        """See PlanStore.plans."""
        return await self._store.plans(state=state, before=before, limit=limit, whose=whose)

    async def list_tasks(
        self, *, plan_id: str, state: TaskState | None, before: str, limit: int, whose: str = ""
    ) -> list[Task]:
        """See PlanStore.tasks."""
        return await self._store.tasks(plan_id=plan_id, state=state, before=before, limit=limit, whose=whose)

    async def find_plan(self, plan_id: str, *, whose: str) -> None:
        """Raises NotFound unless there is such a plan."""
        find((await self._store.head(plan_id)).tenant, whose, "plan", plan_id)

    async def cancel_plan(self, plan_id: str, *, whose: str = "") -> Plan:
        """Ask for the plan to stop, and return it; one that has ended is returned as it is. Raises NotFound.

        What is stored decides: whoever cannot be told now sees the request in the store later.
        """
        if whose:
            await self.find_plan(plan_id, whose=whose)
        plan = await self._store.request_cancel(plan_id, self._clock.now())
        if plan.state.ended:
            return plan
        self._bell.ring(plan_id)
        with cancels.traced(plan):
            await asyncio.gather(*(self._cancel_attempt(task) for task in plan.tasks if task.attempt_open))
            try:
                await self._workflows.cancel(plan_id)
            except Unavailable as error:
                _log.warning("workflow not told of the cancel", plan_id=plan_id, error=error.message)
        return plan

    async def cancel_task(self, task_id: str, *, whose: str = "") -> Task:
        """Ask for a task of its own to stop; as cancel_plan. Raises FailedPrecondition for a step of a plan."""
        return (await self.cancel_plan(await self.cancellable(task_id, whose=whose))).tasks[0]

    async def cancellable(self, task_id: str, *, whose: str = "") -> str:
        """The plan that is cancelled with this task. Raises NotFound, and FailedPrecondition for a step of a plan."""
        task = await self._store.task(task_id)
        find(task.tenant, whose, "task", task_id)
        plan = await self._store.head(task.plan_id)
        if not plan.sole:
            raise FailedPrecondition(
                f"{task_id} is a step of plan {plan.plan_id}: cancel the plan instead",
                reason="STEP_OF_PLAN",
                metadata={"plan_id": plan.plan_id},
            )
        return plan.plan_id

    async def sweep(self) -> None:
        """Start, now and every 2 seconds, the workflows of plans that were accepted and not started. Never returns."""
        while True:
            try:
                pending = await self._store.unstarted(_SWEEP_SIZE)
                started = await asyncio.gather(*(self._restart(plan.plan_id) for plan in pending))
            except Unavailable as error:
                _log.warning("sweep skipped", error=error.message)
                started = []
            if len(started) < _SWEEP_SIZE or not all(started):
                await self._clock.sleep(_SWEEP_SECONDS)

    async def _accept(self, plan: Plan) -> Plan:
        trace.get_current_span().set_attribute(names.TENANT, plan.tenant)
        stored = await self._stored(plan)
        if stored.request_digest != plan.request_digest:
            raise AlreadyExists(
                f"request_id {plan.request_id!r} was used for another request; choose a new one",
                reason="REQUEST_ID_REUSED",
                metadata={"request_id": plan.request_id, "name": stored.plan_id},
            )
        if stored.state is PlanState.PENDING and not await self._start(stored):
            return _told(stored)
        return stored

    async def _stored(self, plan: Plan) -> Plan:
        try:
            await self._admission.admit(plan)
        except ResourceExhausted:
            # Perhaps it was accepted long ago, and only the answer got lost.
            known = await self._store.requested(plan.tenant, plan.request_id) if plan.request_id else None
            if known is None:
                raise
            return known
        stored = None
        try:
            stored = await self._store.add(plan)
        finally:
            self._admission.settle(plan, stored=stored is plan)
        if stored is plan:
            tally.created(plan)
        return stored

    async def _start(self, plan: Plan) -> bool:
        try:
            await self._workflows.start(plan)
            await self._store.start_plan(plan.plan_id)
        except Unavailable as error:
            _log.warning("plan waits for its workflow", plan_id=plan.plan_id, error=error.message)
            return False
        self._bell.ring(plan.plan_id)
        return True

    async def _restart(self, plan_id: str) -> bool:
        return await self._start(await self._store.plan(plan_id))

    async def _cancel_attempt(self, task: Task) -> None:
        try:
            await self._cancels.tell_router(task)
        except Unavailable as error:
            _log.warning(
                "router not told of the cancel", task_id=task.task_id, attempt=task.attempt, error=error.message
            )


def _with_tasks(plan: Plan, steps: Sequence[Step]) -> Plan:
    trace_id = trace_id_of(plan.trace_context)
    tasks = (
        Task(
            task_id=task_id_of(plan.plan_id, step.id),
            plan_id=plan.plan_id,
            step_id=step.id,
            position=position,
            spec=step.spec,
            depends_on=step.depends_on,
            state=TaskState.PENDING,
            created_at=plan.created_at,
            tenant=plan.tenant,
            plan_name=plan.name,
            trace_id=trace_id,
        )
        for position, step in enumerate(steps)
    )
    return replace(plan, tasks=tuple(tasks))


def _told(plan: Plan) -> Plan:
    """The tasks of a plan that Temporal does not know yet say so."""
    if plan.state is not PlanState.PENDING:
        return plan
    return replace(plan, tasks=tuple(replace(task, wait_reason=_UNSTARTED) for task in plan.tasks))
