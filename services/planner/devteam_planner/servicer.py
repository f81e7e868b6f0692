"""PlannerService on the wire: translates and calls."""

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

import grpc

from devteam.mesh.access.caller import current_caller
from devteam.mesh.paging import page_start
from devteam.mesh.standing import OwnStanding
from devteam.mesh.standing_wire import standing_to_proto
from devteam.mesh.trace_context import carried
from devteam.v1 import planner_pb2, planner_pb2_grpc
from devteam_planner.convert.onlookers import news_to_protos, since_from_proto
from devteam_planner.convert.plans import (
    cursors_from_proto,
    digest_of,
    id_from_proto,
    page_size_from_proto,
    plan_event_to_proto,
    plan_page_to_proto,
    plan_state_from_proto,
    plan_to_proto,
    task_event_to_proto,
    task_page_to_proto,
    task_state_from_proto,
    task_to_proto,
)
from devteam_planner.convert.queues import steps_in_their_queues, task_in_its_queue
from devteam_planner.convert.specs import task_spec_from_proto
from devteam_planner.convert.steps import steps_from_proto
from devteam_planner.convert.tenants import erased_to_proto, tenant_from_metadata, tenant_from_proto
from devteam_planner.departures import Departures
from devteam_planner.erasure import Erasure
from devteam_planner.events import Cursor
from devteam_planner.onlookers import Onlookers
from devteam_planner.plans import Plans
from devteam_planner.watch import Watch

_Context = grpc.aio.ServicerContext[Any, Any]


class PlannerServicer(planner_pb2_grpc.PlannerServiceServicer):
    """See planner.proto."""

    def __init__(
        self,
        plans: Plans,
        watch: Watch,
        onlookers: Onlookers,
        departures: Departures,
        standing: OwnStanding,
        erasure: Erasure,
    ) -> None:
        self._plans = plans
        self._watch = watch
        self._onlookers = onlookers
        self._departures = departures
        self._standing = standing
        self._erasure = erasure

    async def CreateTask(
        self, request: planner_pb2.CreateTaskRequest, context: _Context
    ) -> planner_pb2.CreateTaskResponse:
        """See planner.proto."""
        caller = current_caller()
        task = await self._plans.create_task(
            task_in_its_queue(task_spec_from_proto(request), caller),
            request_id=request.request_id,
            digest=digest_of(request),
            tenant=tenant_from_metadata(context.invocation_metadata(), caller),
            trace_context=carried(),
        )
        return planner_pb2.CreateTaskResponse(task=task_to_proto(task))

    async def GetTask(self, request: planner_pb2.GetTaskRequest, context: _Context) -> planner_pb2.GetTaskResponse:
        """See planner.proto."""
        task = await self._plans.get_task(id_from_proto("task_id", request.task_id), whose=_whose())
        return planner_pb2.GetTaskResponse(task=task_to_proto(task, with_output=True))

    async def ListTasks(
        self, request: planner_pb2.ListTasksRequest, context: _Context
    ) -> planner_pb2.ListTasksResponse:
        """See planner.proto."""
        size = page_size_from_proto(request.page_size)
        tasks = await self._plans.list_tasks(
            plan_id=id_from_proto("plan_id", request.plan_id) if request.plan_id else "",
            state=task_state_from_proto(request.state),
            before=page_start(request.page_token),
            limit=size + 1,
            whose=_whose(),
        )
        return task_page_to_proto(tasks, size)

    async def WatchTask(
        self, request: planner_pb2.WatchTaskRequest, context: _Context
    ) -> AsyncGenerator[planner_pb2.WatchTaskResponse, None]:
        """See planner.proto."""
        task_id, cursor = id_from_proto("task_id", request.task_id), Cursor(request.attempt, request.after_seq)
        left: AbstractContextManager[None] = nullcontext()
        if request.cancel_on_disconnect:
            left = self._departures.noticed(await self._plans.cancellable(task_id, whose=_whose()))
        with left:
            async with aclosing(self._watch.watch_task(task_id, cursor, whose=_whose())) as events:
                async for event in events:
                    yield task_event_to_proto(event)

    async def CancelTask(
        self, request: planner_pb2.CancelTaskRequest, context: _Context
    ) -> planner_pb2.CancelTaskResponse:
        """See planner.proto."""
        task = await self._plans.cancel_task(id_from_proto("task_id", request.task_id), whose=_whose())
        return planner_pb2.CancelTaskResponse(task=task_to_proto(task))

    async def CreatePlan(
        self, request: planner_pb2.CreatePlanRequest, context: _Context
    ) -> planner_pb2.CreatePlanResponse:
        """See planner.proto."""
        caller = current_caller()
        plan = await self._plans.create_plan(
            request.name,
            steps_in_their_queues(steps_from_proto(request), caller),
            dict(request.input),
            request_id=request.request_id,
            digest=digest_of(request),
            tenant=tenant_from_metadata(context.invocation_metadata(), caller),
            trace_context=carried(),
        )
        return planner_pb2.CreatePlanResponse(plan=plan_to_proto(plan))

    async def GetPlan(self, request: planner_pb2.GetPlanRequest, context: _Context) -> planner_pb2.GetPlanResponse:
        """See planner.proto."""
        plan = await self._plans.get_plan(id_from_proto("plan_id", request.plan_id), whose=_whose())
        return planner_pb2.GetPlanResponse(plan=plan_to_proto(plan))

    async def ListPlans(
        self, request: planner_pb2.ListPlansRequest, context: _Context
    ) -> planner_pb2.ListPlansResponse:
        """See planner.proto."""
        size = page_size_from_proto(request.page_size)
        plans = await self._plans.list_plans(
            state=plan_state_from_proto(request.state),
            before=page_start(request.page_token),
            limit=size + 1,
            whose=_whose(),
        )
        return plan_page_to_proto(plans, size)

    async def WatchPlan(
        self, request: planner_pb2.WatchPlanRequest, context: _Context
    ) -> AsyncGenerator[planner_pb2.WatchPlanResponse, None]:
        """See planner.proto."""
        plan_id = id_from_proto("plan_id", request.plan_id)
        left: AbstractContextManager[None] = nullcontext()
        if request.cancel_on_disconnect:
            await self._plans.find_plan(plan_id, whose=_whose())
            left = self._departures.noticed(plan_id)
        with left:
            async with aclosing(self._watch.watch_plan(plan_id, cursors_from_proto(request), whose=_whose())) as events:
                async for event in events:
                    yield plan_event_to_proto(event)

    async def CancelPlan(
        self, request: planner_pb2.CancelPlanRequest, context: _Context
    ) -> planner_pb2.CancelPlanResponse:
        """See planner.proto."""
        plan = await self._plans.cancel_plan(id_from_proto("plan_id", request.plan_id), whose=_whose())
        return planner_pb2.CancelPlanResponse(plan=plan_to_proto(plan))

    async def GetPlannerStatus(
        self, request: planner_pb2.GetPlannerStatusRequest, context: _Context
    ) -> planner_pb2.GetPlannerStatusResponse:
        """See planner.proto."""
        return planner_pb2.GetPlannerStatusResponse(status=standing_to_proto(await self._standing.standing()))

    async def EraseTenant(
        self, request: planner_pb2.EraseTenantRequest, context: _Context
    ) -> AsyncGenerator[planner_pb2.EraseTenantResponse, None]:
        """See planner.proto."""
        tenant = current_caller().acts_for(tenant_from_proto(request.tenant), "")
        async with aclosing(self._erasure.of_tenant(tenant)) as steps:
            async for erased in steps:
                yield erased_to_proto(erased)

    async def WatchTasks(
        self, request: planner_pb2.WatchTasksRequest, context: _Context
    ) -> AsyncGenerator[planner_pb2.WatchTasksResponse, None]:
        """See planner.proto."""
        news_of = self._onlookers.watch(since_from_proto(request), counts=request.progress, whose=_whose())
        async with aclosing(news_of) as parts:
            async for news in parts:
                for message in news_to_protos(news):
                    yield message


def _whose() -> str:
    """The tenant that all others' things are hidden from; empty: nothing is."""
    return current_caller().tenant
