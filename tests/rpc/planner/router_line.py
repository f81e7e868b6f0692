"""A Planner's line to a scripted Router."""

import asyncio
from dataclasses import dataclass

from devteam_planner.domain import Run
from devteam_planner.ports import RunEvent
from devteam_planner.router_client.routers import Routers

from devteam.mesh.server import MeshServer
from tests.fakes.dispatch_samples import RUN
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_server import ScriptedRouterServicer


@dataclass
class Line:
    """A client, and the server it talks to."""

    client: Routers
    router: ScriptedRouterServicer
    server: MeshServer
    clock: HastyClock

    async def events(self, last_seq: int = 0, run: Run = RUN) -> list[RunEvent]:
        async with asyncio.timeout(60):
            return [event async for event in self.client.dispatch(run, last_seq=last_seq, assigned=None)]

    async def acks(self) -> list[tuple[str, int, int, bool]]:
        """The acknowledgements of the next call."""
        async with asyncio.timeout(60):
            return [(ack.task_id, ack.attempt, ack.seq, ack.report) for ack in await self.router.acks.get()]
