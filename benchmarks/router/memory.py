"""What the Router keeps of those who wait, and of workers."""

import asyncio
import gc
import itertools
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from devteam_router.lines import Lines

from benchmarks.figures import tell
from benchmarks.router import fleets
from benchmarks.router.offices import Office

_RUNS = 20_000
_WORKERS = 10_000


def measure() -> None:
    """Bytes that Python allocated, without what its allocator and the network keep beside them."""
    with _bytes_each("memory: a waiting run in its line, bytes", _RUNS):
        lines = Lines()
        for run in itertools.islice(fleets.runs(fleets.two_hundred()), _RUNS):
            lines.add(run, 0.0)
    del lines
    asyncio.run(_of_calls())
    asyncio.run(_of_workers())


async def _of_calls() -> None:
    office = Office()
    with _bytes_each("memory: a waiting run with the call that follows it, bytes", _RUNS):
        runs = fleets.runs(fleets.two_hundred())
        calls = [asyncio.create_task(office.follow(run)) for run in itertools.islice(runs, _RUNS)]
        await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)


async def _of_workers() -> None:
    office = Office()
    with _bytes_each("memory: a worker that is attached, bytes", _WORKERS):
        office.hire(map(fleets.worker, range(_WORKERS)))


@contextmanager
def _bytes_each(what: str, count: int) -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    try:
        yield
        gc.collect()
        tell(what, tracemalloc.get_traced_memory()[0] / count)
    finally:
        tracemalloc.stop()
