"""What the workflow has done outside: steps are driven, plans are closed. A thin layer over the step driver."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError, NotFound
from devteam.mesh.tasks import cancelled
from devteam_planner import tally
from devteam_planner.domain import TAKEOVER, StepOutcome
from devteam_planner.ports import PlanStore
from devteam_planner.workflows import CLOSE_PLAN, RUN_STEP

_log = structlog.get_logger()


class Driver(Protocol):
    """The step driver, as activities see it."""

    async def run(self, plan_id: str, task_id: str) -> StepOutcome:
        """Bring at most one attempt of the task to its end."""


class PlanActivities:
    """The activities of one Planner. `ring` is called with the id of a plan that was closed."""

    def __init__(self, driver: Driver, store: PlanStore, ring: Callable[[str], None], clock: Clock) -> None:
        self._driver = driver
        self._store = store
        self._ring = ring
        self._clock = clock

    @activity.defn(name=RUN_STEP)
    async def run_step(self, plan_id: str, task_id: str) -> StepOutcome:
        """Drive one attempt of a task. Safe to be called again, or twice at a time: the store fences."""
        beating = asyncio.create_task(self._beat())
        try:
            with _discreet(task_id):
                return await self._driver.run(plan_id, task_id)
        finally:
            await cancelled(beating)

    @activity.defn(name=CLOSE_PLAN)
    async def close_plan(self, plan_id: str) -> str:
        """End the plan, now that nothing of it runs any more; returns its final state."""
        with _discreet(plan_id):
            before = await self._store.plan(plan_id)
            state = await self._store.close_plan(plan_id, self._clock.now())
            tally.plan_closed(before, state)
        self._ring(plan_id)
        return state.value

    async def _beat(self) -> None:
        """Tell Temporal that the step is in good hands. What is sent how often, the SDK decides."""
        pause = _between_beats()
        while True:
            await self._clock.sleep(pause)
            activity.heartbeat()


def _between_beats() -> float:
    """Half of what Temporal allows, so that one may come late; in seconds. Each costs, also those that are not sent."""
    allowed = activity.info().heartbeat_timeout
    return (allowed.total_seconds() if allowed else TAKEOVER) / 2


@contextmanager
def _discreet(subject: str) -> Iterator[None]:
    """Tell Temporal, which keeps what it is told, no more than a public sentence; the log gets the cause."""
    try:
        yield
    except DevTeamError as error:
        _log.warning("activity failed", subject=subject, reason=error.reason, message=error.message)
        gone = isinstance(error, NotFound)
        raise ApplicationError(error.message, type=error.reason, non_retryable=gone) from None
    except Exception:  # noqa: BLE001 - its text may hold what a prompt holds; logged here in full
        _log.exception("activity failed", subject=subject)
        raise ApplicationError("internal error: the Planner's log has the cause", type="INTERNAL") from None
