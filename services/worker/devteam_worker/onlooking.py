"""The worker owner's code that looks on: it hears of runs, and changes nothing about them."""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial

import structlog

from devteam_worker.domain import Assignment, Emit, Failed, Outcome, Spend
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.failures import TaskFailed
from devteam_worker.owner_task import StartedTask, described
from devteam_worker.runs import Agent

_log = structlog.get_logger()

# May be async or not.
Onlooker = Callable[[StartedTask], object]


class WatchedAgent:
    """Runs assignments by `agent`, and tells the owner's code, in its own loop, of each that begins and that fails.

    A run waits until it has been told. What that code raises is logged, and changes no outcome.
    """

    def __init__(
        self,
        agent: Agent,
        loop: OwnersLoop,
        on_start: Onlooker | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        self._agent = agent
        self._loop = loop
        self._on_start = on_start
        self._on_error = on_error

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        """As `agent` does."""
        if self._on_start is not None:
            await self._tell(partial(self._on_start, StartedTask(*described(assignment))))
        outcome = await self._agent.run(assignment, emit, spend)
        if isinstance(outcome, Failed) and self._on_error is not None:
            await self._tell(partial(self._on_error, _failed(assignment, outcome)))
        return outcome

    async def _tell(self, call: Callable[[], object]) -> None:
        telling = self._loop.begin(_heard(call))
        try:
            await telling.outcome()
        except asyncio.CancelledError:
            telling.cancel()
            raise


async def _heard(call: Callable[[], object]) -> None:
    try:
        said = call()
        if inspect.isawaitable(said):
            await said
    except (Exception, SystemExit, asyncio.CancelledError):  # noqa: BLE001 - somebody else's code may raise anything
        _log.exception("code that looks on at tasks raised")


def _failed(assignment: Assignment, outcome: Failed) -> TaskFailed:
    return TaskFailed(
        outcome.message,
        task_id=assignment.id.task_id,
        attempt=assignment.id.number,
        model=assignment.prompt.model,
        reason=outcome.reason,
        retryable=outcome.retryable,
    )
