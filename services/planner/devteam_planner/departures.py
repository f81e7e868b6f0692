"""Cancels what its watcher asked to be cancelled if it leaves.

What a handler awaits after its client has gone is itself cut off half-way: here it is only noted, and done by a job
that outlives every handler.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError, Unavailable
from devteam.mesh.tasks import Backoff

_log = structlog.get_logger()


class Departures:
    """`cancel` is called with the id of a plan whose watcher has left, until it no longer raises Unavailable."""

    def __init__(self, cancel: Callable[[str], Awaitable[object]], clock: Clock) -> None:
        self._cancel = cancel
        self._clock = clock
        self._left: asyncio.Queue[str] = asyncio.Queue()
        self._closed = False

    @contextmanager
    def noticed(self, plan_id: str) -> Iterator[None]:
        """The body is a watch: cut off before its end, it leads to a cancel of the plan. An error of ours does not."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            if not self._closed:
                _log.info("watcher left", plan_id=plan_id)
                self._left.put_nowait(plan_id)
            raise

    async def close(self) -> None:
        """From now on it is this process that leaves, not its watchers."""
        self._closed = True

    async def run(self) -> None:
        """Cancel what was left. Never returns."""
        async with asyncio.TaskGroup() as group:
            while True:
                plan_id = await self._left.get()
                group.create_task(self._cancelled(plan_id), name=f"cancel {plan_id}")

    async def _cancelled(self, plan_id: str) -> None:
        backoff = Backoff(self._clock)
        while True:
            try:
                await self._cancel(plan_id)
            except Unavailable:
                await backoff.pause()
            except DevTeamError as error:
                _log.error("plan not cancelled though its watcher left", plan_id=plan_id, error=error.message)
                return
            else:
                return
