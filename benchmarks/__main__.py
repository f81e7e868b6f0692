"""Measures the mesh beside plain Temporal, in one run: machines differ, ratios less so. One JSON line a figure.

Then the Router's core by itself and workers, as `python -m benchmarks.router` and `python -m benchmarks.worker` do.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import mesh_work
from benchmarks.figures import tell
from benchmarks.local_mesh import local_mesh
from benchmarks.plain_temporal import plain_temporal, seconds_for
from benchmarks.router import suite as router
from benchmarks.worker import suite as worker
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs

_REPETITIONS = 5


def main() -> None:
    """Run everything, one thing at a time."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(_measure_mesh())
    router.measure()
    worker.measure()


async def _measure_mesh() -> None:
    async with plain_temporal() as client:
        plain_chain = await _median(lambda: seconds_for(client, [1] * 50))
        plain_fan = await _median(lambda: seconds_for(client, [1, 200, 1]))
    tell("Temporal alone: chain of 50, ms a step", plain_chain / 50 * 1000)
    tell("Temporal alone: fan of 200, ms", plain_fan * 1000)
    with tempfile.TemporaryDirectory() as folder:
        async with local_mesh(Path(folder)) as mesh, DevTeamClient(mesh.url) as client:
            tell("devteam up to ready, s", mesh.seconds_to_ready)
            await _measure(client, plain_chain, plain_fan)


async def _measure(client: DevTeamClient, plain_chain: float, plain_fan: float) -> None:
    await mesh_work.seconds_to_first_token(client)
    firsts = sorted([await mesh_work.seconds_to_first_token(client) for _ in range(100)])
    tell("CreateTask to first token, p50 ms", firsts[50] * 1000)
    tell("CreateTask to first token, p99 ms", firsts[98] * 1000)
    chain = await _median(lambda: mesh_work.seconds_for_chain(client, 50))
    tell("chain of 50, ms a step", chain / 50 * 1000)
    tell("chain of 50, over Temporal alone", chain / plain_chain)
    fan = await _median(lambda: mesh_work.seconds_for_fan(client, 200))
    tell("fan of 200, ms", fan * 1000)
    tell("fan of 200, over Temporal alone", fan / plain_fan)
    tell("one stream, tokens a second", await _median(lambda: mesh_work.tokens_per_second(client, 50_000)))


async def _median(measure: Callable[[], Awaitable[float]]) -> float:
    return statistics.median([await measure() for _ in range(_REPETITIONS)])


if __name__ == "__main__":
    main()
