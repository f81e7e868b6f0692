"""What grows with every task that waits, and how large it may be."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.figures import tell
from benchmarks.waiting.bare import bare
from benchmarks.waiting.durable import durable
from benchmarks.waiting.on_the_wire import on_the_wire
from devteam.mesh.logs import configure_logs

_SHORT, _LONG = 40, 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """Something that grows with every task that waits, by so many KB each; with a bound of generous room."""

    name: str
    measure: Callable[[], Awaitable[float]]
    bound: float

    def run(self) -> bool:
        """Measure it in a process of its own, tell, and say whether it kept to its bound."""
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            kb = pool.apply(_measured, (self.measure,))
        tell(f"{self.name}: KB a task that waits (at most {self.bound:g})", kb)
        return kb <= self.bound


PARTS = (
    Part("a bare stream of gRPC, both ends", bare, 75),
    Part("driver, stream and Router", partial(on_the_wire, _SHORT), 125),
    # Four copies of the prompt: the driver has one, and each end of the stream what it sent or read.
    Part("the same, with a prompt of 100 kB", partial(on_the_wire, _LONG), 570),
    Part("Temporal's SDK: activity and cached workflow", partial(durable, cached=True), 125),
    Part("Temporal's SDK: activity alone", partial(durable, cached=False), 75),
)


def _measured(measure: Callable[[], Awaitable[float]]) -> float:
    configure_logs("benchmarks", level="ERROR")
    return asyncio.run(_awaited(measure))


async def _awaited(measure: Callable[[], Awaitable[float]]) -> float:
    return await measure()  # asyncio.run takes coroutines, and no other awaitable
