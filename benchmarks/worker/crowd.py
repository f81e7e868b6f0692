"""Two hundred answers at once from one worker, and how late its beats are meanwhile."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from functools import partial

from benchmarks.figures import percentile, tell
from benchmarks.worker.lines import Heard, carried_out, part
from benchmarks.worker.processes import Usage, sim_worker
from devteam.mesh.tasks import background
from tests.fakes.mesh_server import ScriptedMesh, scripted_mesh

_RUNS, _PACE, _LASTS = 200, 50.0, 20.0
# More often than any mesh wants beats, to see more of them.
_BEAT = 0.1
_PROBE = 0.001


class Rhythm:
    """Notes when beats come, as the mesh sees it."""

    def __init__(self, beat: Callable[[], Awaitable[object]]) -> None:
        self._beat = beat
        self._came: list[float] = []

    async def listen(self) -> None:
        """For ever."""
        while True:
            await self._beat()
            self._came.append(time.monotonic())

    def late(self, since: float) -> list[float]:
        """By how many milliseconds beats came too late since that moment; below zero: too soon after a late one."""
        came = [at for at in self._came if at >= since]
        return [(later - at - _BEAT) * 1e3 for at, later in itertools.pairwise(came)]


def measure() -> None:
    """200 runs of 50 tokens a second, for 20 s."""
    asyncio.run(_measure())


async def _measure() -> None:
    async with scripted_mesh() as mesh:
        with sim_worker(mesh.url, slots=_RUNS) as worker:
            await _crowd(mesh, Usage(worker))


async def _crowd(mesh: ScriptedMesh, usage: Usage) -> None:
    mesh.registry.interval = _BEAT
    line = await mesh.router.attached(beat=_BEAT, beat_timeout=60.0)
    rhythms = {"the Registry's": Rhythm(mesh.registry.beaten), "the stream's": Rhythm(line.beaten)}
    lags: list[float] = []
    heard = Heard()
    run = {"tokens": _LASTS * _PACE, "tokens_per_second": _PACE, "first_token_ms": 0.0}
    async with background(*(rhythm.listen for rhythm in rhythms.values()), partial(_probe, lags)):
        began, cpu = time.monotonic(), usage.cpu
        await carried_out(line, [run] * _RUNS, heard)
        took = time.monotonic() - began
        tell("crowd: CPU of the worker, % of a core", (usage.cpu - cpu) / took * 100)
    await part(line)
    tell("crowd: tokens a second", heard.tokens / took)
    tell("crowd: tokens a message", heard.a_batch)
    for name, rhythm in rhythms.items():
        late = rhythm.late(began)
        tell(f"crowd: beats, {name}", len(late))
        tell(f"crowd: beats, {name}, late by p99 ms", percentile(late, 0.99))
        tell(f"crowd: beats, {name}, late by max ms", max(late))
    tell("crowd: lag of the mesh's own event loop, the longest, ms", max(lags) * 1e3)


async def _probe(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_PROBE)
        lags.append(time.perf_counter() - began - _PROBE)
