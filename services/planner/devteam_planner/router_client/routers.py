"""All Routers, as one."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import grpc

from devteam.mesh.address import without_secrets
from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.standing import Footing
from devteam.mesh.tasks import Backoff, together
from devteam_planner.acks import Ack
from devteam_planner.domain import Run, WorkerInstance
from devteam_planner.ports import RouterGone, RunEvent
from devteam_planner.rendezvous import ranked
from devteam_planner.router_client.line import RouterLine

_CANCEL_PATIENCE = 5.0
# Attempts whose Router is remembered; what is forgotten is acknowledged to all.
_MOST_SERVED = 100_000


class Routers:
    """Dispatches each attempt to one Router, and to another one when that is gone.

    `channels` has the line to each by its address. `run` must be running for as long as they are used.
    """

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], clock: Clock) -> None:
        self._lines = {
            address: RouterLine(address, channel, clock, self._share) for address, channel in channels.items()
        }
        self._clock = clock
        # Who serves an attempt, from its dispatch until its report is acknowledged or the line to it breaks.
        self._serving: OrderedDict[tuple[str, int], RouterLine] = OrderedDict()

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[RunEvent, None]:
        """Carry out one attempt; see the port. Closing the generator ends the call and cancels nothing."""
        key = (run.task.task_id, run.task.attempt)
        order = self._order(*key)
        line = next((line for line in order if line.up), order[0])
        self._serve(key, line)
        try:
            async with aclosing(line.dispatch(run, last_seq=last_seq, assigned=assigned)) as events:
                async for event in events:
                    yield event
        except Unavailable as error:
            if not self._moves(key, line):
                raise
            raise RouterGone(error.message, reason=error.reason) from error

    def acknowledge(self, task_id: str, attempt: int, seq: int, *, report: bool = False) -> None:
        """Note what is stored; `run` tells whoever serves the attempt. Never waits, never raises."""
        ack = Ack(task_id, attempt, seq, report=report)
        line = self._serving.get((task_id, attempt))
        if line is not None and line.up:
            line.acknowledge([ack])
        else:
            self._share([ack])
        if report:
            self._serving.pop((task_id, attempt), None)

    async def cancel(self, task_id: str, attempt: int) -> None:
        """Stop an attempt, trying for a few seconds. Raises Unavailable.

        Whoever serves the attempt has to hear it, and everyone else who is up: it may be another Planner's. One that is
        found to be down has no attempts for long: their drivers dispatch them elsewhere, and cancel them there.
        """
        backoff = Backoff(self._clock)
        give_up_at = self._clock.monotonic() + _CANCEL_PATIENCE
        while (error := await self._told(task_id, attempt)) is not None:
            if not isinstance(error, Unavailable) or self._clock.monotonic() >= give_up_at:
                raise error
            await backoff.pause()

    def footings(self) -> list[Footing]:
        """All of them, as what this Planner stands on."""
        return [
            Footing("router", without_secrets(address), self._clock, line.trouble)
            for address, line in self._lines.items()
        ]

    async def run(self) -> None:
        """Send acknowledgements and look after Routers that are down, until cancelled. None waits for another."""
        await together(*(job for line in self._lines.values() for job in (line.send_acks, line.revive)))

    async def _told(self, task_id: str, attempt: int) -> BaseException | None:
        """Tell them once to cancel; why one of them did not hear it."""
        told = (line.cancel(task_id, attempt) for line in self._order(task_id, attempt))
        return next(filter(None, await asyncio.gather(*told, return_exceptions=True)), None)

    def _order(self, task_id: str, attempt: int) -> list[RouterLine]:
        """Whoever serves the attempt, then those that are up (all, when none is) in the order of the task."""
        lines = [self._lines[address] for address in ranked(task_id, self._lines)]
        usable = [line for line in lines if line.up] or lines
        server = self._serving.get((task_id, attempt))
        return usable if server is None else [server, *(line for line in usable if line is not server)]

    def _serve(self, key: tuple[str, int], line: RouterLine) -> None:
        self._serving[key] = line
        if len(self._serving) > _MOST_SERVED:
            self._serving.popitem(last=False)

    def _moves(self, key: tuple[str, int], line: RouterLine) -> bool:
        """Whether an attempt has lost its Router, and another one is up."""
        if line.up:
            return False
        if self._serving.get(key) is line:
            del self._serving[key]
        return any(other.up for other in self._lines.values())

    def _share(self, acks: Sequence[Ack]) -> None:
        """Tell everyone: who does not know the attempt pays no heed."""
        for line in self._lines.values():
            line.acknowledge(acks)
