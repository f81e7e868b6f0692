"""What traces and metrics cost: the same stream through a mesh with them and one without, in turns.

python -m benchmarks.observing
"""

import asyncio
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types

from benchmarks import mesh_work
from benchmarks.figures import tell
from benchmarks.local_mesh import LocalMesh, local_mesh
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs

_TOKENS = 100_000
_SHORT_TASKS = 200
_ROUNDS = 7
_PLAIN: Mapping[str, str] = {"OTEL_SDK_DISABLED": "true"}


@dataclass(slots=True)
class Side:
    """One of the two meshes, and what was measured on it."""

    name: str
    mesh: LocalMesh
    client: DevTeamClient
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """One stream, and many short tasks one after the other."""
        before = _cpu(self.mesh.pid)
        self.rate.append(await mesh_work.tokens_per_second(self.client, _TOKENS))
        between = _cpu(self.mesh.pid)
        self.cpu.append((between - before) / _TOKENS * 1e6)
        for _ in range(_SHORT_TASKS):
            await mesh_work.seconds_to_first_token(self.client)
        self.short.append((_cpu(self.mesh.pid) - between) / _SHORT_TASKS * 1e3)


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Both meshes at once on this machine, never at work at the same time; whoever is first takes turns."""
    async with AsyncExitStack() as stack:
        watched = await a_side(stack, "with traces and metrics", {})
        plain = await a_side(stack, "without", _PLAIN)
        for side in (watched, plain):
            await mesh_work.tokens_per_second(side.client, _TOKENS)
        for number in range(_ROUNDS):
            for side in (watched, plain) if number % 2 else (plain, watched):
                await side.run()
    for side in (watched, plain):
        tell(f"observing: a stream of 100,000 tokens {side.name}, tokens a second", statistics.median(side.rate))
        tell(f"observing: a stream of 100,000 tokens {side.name}, us of CPU a token", statistics.median(side.cpu))
        tell(f"observing: short tasks {side.name}, ms of CPU a task", statistics.median(side.short))
    tell("observing: a stream, CPU with over without", ratio(watched.cpu, plain.cpu))
    tell("observing: a stream, time with over without", ratio(plain.rate, watched.rate))
    tell("observing: short tasks, CPU with over without", ratio(watched.short, plain.short))


async def a_side(stack: AsyncExitStack, name: str, variables: Mapping[str, str]) -> Side:
    """A mesh that was started so, and its client, for as long as the stack holds."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    mesh = await stack.enter_async_context(local_mesh(Path(folder), **variables))
    client = await stack.enter_async_context(DevTeamClient(mesh.url))
    return Side(name, mesh, client)


def _cpu(pid: int) -> float:
    """Seconds of CPU of `devteam up`, its worker and its Temporal."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(sum(times.user + times.system for times in (each.cpu_times() for each in family)))


def ratio(some: list[float], others: list[float]) -> float:
    """The one beside the other, each pair of neighbours by itself; the median."""
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
