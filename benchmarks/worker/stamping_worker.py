"""A worker whose tokens say when they were made: `python -m benchmarks.worker.stamping_worker URL provider|handler`.

With a provider, put together as the worker's composition root does it; with a handler, by DevTeamWorker.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

from devteam_worker import DevTeamWorker, Task
from devteam_worker.agent import ModelAgent
from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration, Queue
from devteam_worker.inventory import Inventory
from devteam_worker.link import Link, Switchboard
from devteam_worker.links import Links
from devteam_worker.providers.base import Ended, LocalModel, Prompt, Text, Token, Usage
from devteam_worker.providers.catalog import Catalog
from devteam_worker.registration import Registration
from devteam_worker.runs import Runs
from devteam_worker.tools.toolbox import Toolbox

from benchmarks.worker.stamps import Speech, stamp
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.logs import configure_logs
from devteam.mesh.tasks import background

_SLOTS = 100
_WINDOW_BYTES = 1024 * 1024


class StampingProvider:
    """Says the time, as often as options want it."""

    name = "sim"
    shared = False

    def tools(self, model: str) -> tuple[str, ...]:
        """None."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """The time, again and again."""
        speech = Speech.of(prompt.options)
        async for _ in speech.times():
            for _ in range(speech.burst):
                yield Text(stamp())
        yield Ended("sim", "end", Usage())

    async def models(self) -> list[LocalModel]:
        """Nothing lies anywhere."""
        return []

    async def close(self) -> None:
        """Nothing to let go of."""


async def provider(url: str) -> None:
    """Be a worker with such a provider, until killed."""
    clock = SystemClock()
    declaration = Declaration("bench", "i-1", (Queue("default", _SLOTS),), _SLOTS)
    desk = Desk({queue.name: queue for queue in declaration.queues}, _SLOTS)
    agent = ModelAgent(Catalog({"sim": StampingProvider()}), Toolbox(), clock)

    def dial(router: str) -> Link:
        return Link(router, board)

    async with (
        open_channel(url) as channel,
        Runs(agent, lambda router: links.wake(router), clock, window_bytes=_WINDOW_BYTES) as runs,  # noqa: PLW0108 - bound late
    ):
        inventory = Inventory(StampingProvider().models)
        registration = Registration(channel, declaration, runs.active, inventory, lambda _: None, clock)
        links = Links(runs, dial, clock)
        board = Switchboard(links, declaration, registration, desk, runs, lambda _: None, clock)
        await registration.register()
        links.follow((url,))
        async with background(registration.beat, links.run):
            await asyncio.Event().wait()


async def handler(url: str) -> None:
    """Be a worker with such a handler, until killed."""
    worker = DevTeamWorker(api_url=url, worker_id="bench", queues=["default"], concurrency=_SLOTS)

    @worker.on_task
    async def say(task: Task) -> AsyncGenerator[str, None]:
        speech = Speech.of(task.options)
        async for _ in speech.times():
            for _ in range(speech.burst):
                yield stamp()

    await worker.start()


_KINDS: Mapping[str, Callable[[str], Coroutine[Any, Any, None]]] = {"provider": provider, "handler": handler}

if __name__ == "__main__":
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(_KINDS[sys.argv[2]](sys.argv[1]))
