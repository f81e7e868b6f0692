"""Passes cancels on to the Router, and keeps the trail of each: in the store for people, in the trace for engineers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link

from devteam.mesh import names
from devteam.mesh.clock import Clock
from devteam.mesh.trace_context import joined
from devteam_planner.domain import Plan, Task
from devteam_planner.ports import PlanStore, Router

_tracer = trace.get_tracer(names.SCOPE)


class Cancels:
    """Every hop that is new is stored and rung, so that watchers see it. `ring` is called with the plan's id."""

    def __init__(self, store: PlanStore, router: Router, clock: Clock, ring: Callable[[str], None]) -> None:
        self._store = store
        self._router = router
        self._clock = clock
        self._ring = ring

    async def tell_router(self, task: Task) -> None:
        """Ask the Router to stop the task's attempt. Raises Unavailable."""
        await self._router.cancel(task.task_id, task.attempt)
        _mark(names.EVENT_ROUTER_TOLD, task)
        if await self._store.note_router_told(task.task_id, task.attempt, self._clock.now()):
            self._ring(task.plan_id)

    async def worker_told(self, task: Task) -> None:
        """The Router says that it told the worker. Raises Unavailable."""
        _mark(names.EVENT_WORKER_TOLD, task)
        if await self._store.note_worker_told(task.task_id, task.attempt, self._clock.now()):
            self._ring(task.plan_id)

    def stopped(self, task: Task) -> None:
        """The worker's word that it has stopped is stored."""
        _mark(names.EVENT_CANCEL_COMPLETED, task)


@contextmanager
def traced(plan: Plan) -> Iterator[None]:
    """Make the body a span of the plan's own trace, linked to that of whoever asked for the cancel."""
    asker = trace.get_current_span().get_span_context()
    links = [Link(asker)] if asker.is_valid else []
    attributes = {names.PLAN_ID: plan.plan_id, names.TENANT: plan.tenant}
    with (
        joined(plan.trace_context),
        _tracer.start_as_current_span(names.SPAN_CANCEL, links=links, attributes=attributes),
    ):
        yield


def _mark(what: str, task: Task) -> None:
    trace.get_current_span().add_event(what, {names.TASK_ID: task.task_id, names.ATTEMPT: task.attempt})
