"""What the gateway costs: the same calls and streams straight to a mesh and through its Envoy, in turns.

python -m benchmarks.gateway
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from devteam_cli.data_folder import DataFolder
from devteam_cli.gateway.beside import gateway_beside

from benchmarks import mesh_work
from benchmarks.figures import percentile, tell
from benchmarks.local_mesh import local_mesh
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs
from devteam.mesh.server import Listen

_TOKENS = 50_000
# Below what the gateway lets one address do: it would measure its limit otherwise.
_CALLS = 150
_ROUNDS = 7


@dataclass(slots=True)
class Side:
    """One of the two ways, and what was measured on it."""

    name: str
    client: DevTeamClient
    rate: list[float] = field(default_factory=list)
    unary: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """One stream, and many calls one after the other."""
        self.rate.append(await mesh_work.tokens_per_second(self.client, _TOKENS))
        took = [await self._seconds_for_a_call() for _ in range(_CALLS)]
        self.unary.append(percentile(took, 0.5))
        self.first.append(percentile([await mesh_work.seconds_to_first_token(self.client) for _ in range(20)], 0.5))

    async def _seconds_for_a_call(self) -> float:
        started = time.perf_counter()
        await self.client.list_queues()
        return time.perf_counter() - started


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Both ways to one mesh, never at once; whoever is first takes turns."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = await stack.enter_async_context(local_mesh(folder / "mesh"))
        url = await stack.enter_async_context(gateway_beside(Listen(port=0), mesh.url, "", DataFolder(folder)))
        straight = Side("straight", await stack.enter_async_context(DevTeamClient(mesh.url)))
        through = Side("through the gateway", await stack.enter_async_context(DevTeamClient(url)))
        for side in (straight, through):
            await mesh_work.tokens_per_second(side.client, _TOKENS)
        json = []
        for number in range(_ROUNDS):
            for side in (straight, through) if number % 2 else (through, straight):
                await side.run()
            json.append(await asyncio.to_thread(_seconds_for_json, url))
    _tell(straight, through, json)


def _seconds_for_json(url: str) -> float:
    """The same call as JSON, over one connection that is kept, by a client that costs little itself."""
    took = []
    http = HTTPConnection(url.removeprefix("http://"))
    for _ in range(_CALLS):
        started = time.perf_counter()
        http.request("GET", "/api/queues")
        answer = http.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        took.append(time.perf_counter() - started)
    http.close()
    return percentile(took, 0.5)


def _tell(straight: Side, through: Side, json: Sequence[float]) -> None:
    for side in (straight, through):
        tell(f"gateway: one stream {side.name}, tokens a second", statistics.median(side.rate))
        tell(f"gateway: a call with one answer {side.name}, p50 ms", statistics.median(side.unary) * 1000)
        tell(f"gateway: CreateTask to first token {side.name}, p50 ms", statistics.median(side.first) * 1000)
    tell("gateway: the call as JSON, p50 ms", statistics.median(json) * 1000)
    tell("gateway: one stream, tokens through over straight", _ratio(through.rate, straight.rate))
    tell("gateway: a call, time through over straight", _ratio(through.unary, straight.unary))
    tell("gateway: to first token, time through over straight", _ratio(through.first, straight.first))


def _ratio(some: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
