"""The planner of a fake mesh."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from devteam.mesh.channel import TENANT_KEY
from devteam.mesh.errors import FailedPrecondition, NotFound
from devteam.mesh.ids import Ids
from devteam.mesh.trace_context import trace_id_of
from devteam.testing.audience import Audience
from devteam.testing.plans import FakePlan, listed_plan, listed_task, validated
from devteam.testing.runs import Answer
from devteam.testing.sightings import seen_event, seen_task, shown_since
from devteam.testing.standings import Standings
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import planner_pb2_grpc

_Context = Any


class FakePlanner(planner_pb2_grpc.PlannerServiceServicer):
    """Takes tasks and plans, runs them with the test's answers, and forgets them when it goes.

    `spawn` runs a coroutine beside the server, for as long as the mesh lives.
    """

    def __init__(
        self,
        answer: Answer,
        worker_id: str,
        ids: Ids,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        standings: Standings,
    ) -> None:
        self._answer = answer
        self._worker_id = worker_id
        self._ids = ids
        self._spawn = spawn
        self._standings = standings
        self._plans: dict[str, FakePlan] = {}
        self._tasks: dict[str, pb.Task] = {}
        self._created: dict[str, FakePlan] = {}
        self._onlookers: Audience[pb.WatchPlanResponse] = Audience()

    def task(self, task_id: str) -> pb.Task:
        """The task itself. Raises NotFound."""
        if task_id not in self._tasks:
            raise NotFound("task", task_id)
        return self._tasks[task_id]

    async def CreateTask(self, request: pb.CreateTaskRequest, context: _Context) -> pb.CreateTaskResponse:
        """Take a task: a plan of one step that shares its id."""
        plan = pb.Plan(tenant=_tenant_of(context), trace_id=_trace_of(context))
        created = self._create(request.request_id, [pb.Task(step_id="task", spec=request.task)], plan)
        return pb.CreateTaskResponse(task=listed_task(created.tasks["task"]))

    async def EraseTenant(
        self, request: pb.EraseTenantRequest, context: _Context
    ) -> AsyncGenerator[pb.EraseTenantResponse, None]:
        """Forget the plans of a tenant."""
        found = [plan_id for plan_id, plan in self._plans.items() if plan.plan.tenant == request.tenant]
        tasks = 0
        for plan_id in found:
            plan = self._plans.pop(plan_id)
            plan.cancel()
            tasks += len(plan.tasks)
            for task in plan.tasks.values():
                self._tasks.pop(task.task_id, None)
        self._created = {key: plan for key, plan in self._created.items() if plan.plan.tenant != request.tenant}
        yield pb.EraseTenantResponse(plans=len(found), tasks=tasks, done=True)

    async def GetTask(self, request: pb.GetTaskRequest, context: _Context) -> pb.GetTaskResponse:
        """One task, with its output."""
        return pb.GetTaskResponse(task=self.task(request.task_id))

    async def ListTasks(self, request: pb.ListTasksRequest, context: _Context) -> pb.ListTasksResponse:
        """Tasks, the newest first; all on one page."""
        chosen = [
            listed_task(task)
            for task in reversed(self._tasks.values())
            if task.plan_id == (request.plan_id or task.task_id) and request.state in {0, task.state}
        ]
        return pb.ListTasksResponse(tasks=chosen[: request.page_size or 50])

    async def WatchTask(
        self, request: pb.WatchTaskRequest, context: _Context
    ) -> AsyncGenerator[pb.WatchTaskResponse, None]:
        """What a watch of the plan would tell about this task."""
        task = self.task(request.task_id)
        plan = self._plans[task.plan_id]
        with _noticed(plan, cancel=request.cancel_on_disconnect):
            async for event in plan.watch({task.task_id: (request.attempt, request.after_seq)}):
                if (told := _about_task(event, task.task_id)) is not None:
                    yield told

    async def CancelTask(self, request: pb.CancelTaskRequest, context: _Context) -> pb.CancelTaskResponse:
        """Stop a task that is no step."""
        task = self.task(request.task_id)
        if task.plan_id != task.task_id:
            raise FailedPrecondition(f"cancel the plan {task.plan_id} instead", reason="STEP_OF_PLAN")
        self._plans[task.plan_id].cancel()
        return pb.CancelTaskResponse(task=listed_task(task))

    async def CreatePlan(self, request: pb.CreatePlanRequest, context: _Context) -> pb.CreatePlanResponse:
        """Take a plan."""
        tasks = [pb.Task(step_id=step.id, depends_on=step.depends_on, spec=_spec_of(step)) for step in request.steps]
        plan = pb.Plan(name=request.name, input=request.input, tenant=_tenant_of(context), trace_id=_trace_of(context))
        created = self._create(request.request_id, tasks, plan)
        return pb.CreatePlanResponse(plan=listed_plan(created.plan, with_tasks=True))

    async def GetPlan(self, request: pb.GetPlanRequest, context: _Context) -> pb.GetPlanResponse:
        """One plan with its tasks."""
        return pb.GetPlanResponse(plan=listed_plan(self._plan(request.plan_id).plan, with_tasks=True))

    async def ListPlans(self, request: pb.ListPlansRequest, context: _Context) -> pb.ListPlansResponse:
        """Plans, the newest first; all on one page."""
        chosen = [
            listed_plan(known.plan, with_tasks=False)
            for known in reversed(self._plans.values())
            if known.plan.name and request.state in {0, known.plan.state}
        ]
        return pb.ListPlansResponse(plans=chosen[: request.page_size or 50])

    async def WatchPlan(
        self, request: pb.WatchPlanRequest, context: _Context
    ) -> AsyncGenerator[pb.WatchPlanResponse, None]:
        """The plan, then everything that happens in it."""
        after = {cursor.task_id: (cursor.attempt, cursor.after_seq) for cursor in request.after}
        plan = self._plan(request.plan_id)
        with _noticed(plan, cancel=request.cancel_on_disconnect):
            async for event in plan.watch(after):
                yield event

    async def CancelPlan(self, request: pb.CancelPlanRequest, context: _Context) -> pb.CancelPlanResponse:
        """Stop a plan."""
        known = self._plan(request.plan_id)
        known.cancel()
        return pb.CancelPlanResponse(plan=listed_plan(known.plan, with_tasks=True))

    async def GetPlannerStatus(
        self, request: pb.GetPlannerStatusRequest, context: _Context
    ) -> pb.GetPlannerStatusResponse:
        """As the test says."""
        return pb.GetPlannerStatusResponse(status=self._standings.of("planner"))

    async def WatchTasks(
        self, request: pb.WatchTasksRequest, context: _Context
    ) -> AsyncGenerator[pb.WatchTasksResponse, None]:
        """Tasks that have not ended, or have since then; then whatever happens, each change and token by itself."""
        with self._onlookers.listening() as line:
            known = [task for task in self._tasks.values() if shown_since(task, request)]
            yield pb.WatchTasksResponse(tasks=map(seen_task, known), current=True)
            while True:
                told = seen_event(await line.get(), progress=request.progress)
                if told is not None:
                    yield told

    def _create(self, request_id: str, tasks: list[pb.Task], plan: pb.Plan) -> FakePlan:
        if request_id in self._created:
            return self._created[request_id]
        plan.plan_id = self._ids.new("plan" if plan.name else "task")
        plan.state = pb.PLAN_STATE_PENDING
        plan.created_at.GetCurrentTime()
        for task in tasks:
            task.plan_id, task.tenant = plan.plan_id, plan.tenant
            task.plan_name, task.trace_id = plan.name, plan.trace_id
            task.task_id = f"{plan.plan_id}.{task.step_id}" if plan.name else plan.plan_id
            task.state = pb.TASK_STATE_PENDING if task.depends_on else pb.TASK_STATE_QUEUED
            task.created_at.CopyFrom(plan.created_at)
        plan.tasks.extend(tasks)
        validated(plan)
        return self._keep(request_id, FakePlan(plan, self._answer, self._worker_id, self._onlookers.tell))

    def _keep(self, request_id: str, created: FakePlan) -> FakePlan:
        self._plans[created.plan.plan_id] = created
        self._tasks.update({task.task_id: task for task in created.tasks.values()})
        self._onlookers.tell(pb.WatchPlanResponse(plan=created.plan))
        if request_id:
            self._created[request_id] = created
        self._spawn(created.run())
        return created

    def _plan(self, plan_id: str) -> FakePlan:
        if plan_id not in self._plans:
            raise NotFound("plan", plan_id)
        return self._plans[plan_id]


@contextmanager
def _noticed(plan: FakePlan, *, cancel: bool) -> Iterator[None]:
    """The body is a watch; if `cancel`, to break it off cancels the plan."""
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        if cancel:
            plan.cancel()
        raise


def _tenant_of(context: _Context) -> str:
    return str(dict(context.invocation_metadata()).get(TENANT_KEY, "default"))


def _trace_of(context: _Context) -> str:
    """The caller's trace; else a new one."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return trace_id_of(metadata) or uuid4().hex


def _spec_of(step: pb.StepSpec) -> pb.TaskSpec:
    return pb.TaskSpec(
        prompt=step.prompt,
        model=step.model,
        queue=step.queue,
        system_prompt=step.system_prompt,
        tools=step.tools,
        placement=step.placement,
        generation=step.generation,
        policy=step.policy,
    )


def _about_task(event: pb.WatchPlanResponse, task_id: str) -> pb.WatchTaskResponse | None:
    match event.WhichOneof("event"):
        case "plan":
            task = next((task for task in event.plan.tasks if task.task_id == task_id), None)
            return pb.WatchTaskResponse(task=task)
        case "task" if event.task.task_id == task_id:
            return pb.WatchTaskResponse(task=event.task)
        case "attempt_started" if event.attempt_started.task_id == task_id:
            return pb.WatchTaskResponse(attempt_started=event.attempt_started)
        case "tokens" if event.tokens.task_id == task_id:
            return pb.WatchTaskResponse(tokens=event.tokens)
    return None
