"""One Planner's line to two Routers, each of them scripted, and on a real server of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import grpc
from devteam_planner.ports import RunEvent
from devteam_planner.rendezvous import ranked
from devteam_planner.router_client.routers import Routers

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.server import MeshServer
from devteam.mesh.tasks import background
from tests.fakes.dispatch_samples import DONE, RUN
from tests.fakes.router_server import ScriptedRouterServicer, serving

NAMES = ["a", "b"]
ORDER = ranked(RUN.task.task_id, NAMES)
# Another task that goes to the same Router.
SIBLING = next(name for name in (f"t-{number}" for number in range(99)) if ranked(name, NAMES) == ORDER)


@dataclass
class End:
    """One Router."""

    servicer: ScriptedRouterServicer
    server: MeshServer

    @property
    def dispatched(self) -> list[str]:
        """The tasks that were dispatched here."""
        return [request.run.task_id for request in self.servicer.dispatched]

    async def acks(self) -> list[tuple[str, int, bool]]:
        """The acknowledgements of the next call."""
        batch = await asyncio.wait_for(self.servicer.acks.get(), 60)
        return [(ack.task_id, ack.seq, ack.report) for ack in batch]


@dataclass
class Pair:
    """Two Routers; RUN and SIBLING go to `first` as long as it is up. Runs are done at once, unless scripted."""

    client: Routers
    channels: dict[str, grpc.aio.Channel]
    first: End
    second: End

    def dispatch(self, task_id: str = RUN.task.task_id) -> AsyncGenerator[RunEvent, None]:
        """Dispatch a run like RUN."""
        return self.client.dispatch(replace(RUN, task=replace(RUN.task, task_id=task_id)), last_seq=0, assigned=None)

    async def done(self, task_id: str = RUN.task.task_id) -> None:
        """Dispatch a run, hear it out, and say that it is stored."""
        async with asyncio.timeout(60), aclosing(self.dispatch(task_id)) as events:
            async for _ in events:
                pass
        self.client.acknowledge(task_id, RUN.task.attempt, 3, report=True)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[AsyncIterator[RunEvent]]:
        """A dispatch of RUN that was answered, and goes on."""
        async with aclosing(self.dispatch()) as events:
            await asyncio.wait_for(anext(events), 60)
            yield events

    async def back(self) -> None:
        """Dispatch anew until something goes to the first Router."""
        seen = len(self.first.dispatched)
        async with asyncio.timeout(60):
            while len(self.first.dispatched) == seen:
                await self.done(SIBLING)


@asynccontextmanager
async def a_pair(clock: Clock) -> AsyncIterator[Pair]:
    """Two Routers that are up."""
    async with AsyncExitStack() as stack:
        ends = [await _end(stack) for _ in range(2)]
        channels = {
            name: await stack.enter_async_context(open_channel(f"http://127.0.0.1:{end.server.port}"))
            for name, end in zip(ORDER, ends, strict=True)
        }
        client = Routers(channels, clock)
        async with background(client.run):
            yield Pair(client, channels, *ends)


async def _end(stack: AsyncExitStack) -> End:
    servicer = ScriptedRouterServicer()
    servicer.usual = (DONE,)
    return End(servicer, await stack.enter_async_context(serving(servicer)))
