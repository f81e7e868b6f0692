"""How soon a service that hears of keys from another process lets a new one in, and ends the streams of a revoked one.

python -m benchmarks.revocation
"""

import asyncio
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import percentile, tell
from devteam import DevTeamClient
from devteam.errors import Unauthenticated
from devteam.mesh.logs import configure_logs
from tests.e2e.secured import Services, services

_ROUNDS = 100


@dataclass
class Seconds:
    """What each of the rounds took."""

    known: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Registry, Router and Planner are processes of their own; calls and streams are the Planner's."""
    seconds = Seconds()
    with tempfile.TemporaryDirectory() as folder:
        async with services(Path(folder)) as mesh, mesh.client("registry", mesh.admin) as admin:
            for _ in range(_ROUNDS):
                await _round(mesh, admin, seconds)
    for name, took in (
        ("the first create over a connection, with a known key", seconds.known),
        ("the same with a key that was made before it", seconds.new),
        ("revocation to the end of a stream elsewhere", seconds.ended),
    ):
        for share in (0.5, 0.99):
            tell(f"{name}, p{share * 100:.0f} ms", percentile(took, share) * 1000)


async def _round(mesh: Services, admin: DevTeamClient, seconds: Seconds) -> None:
    async with mesh.client("planner", mesh.admin) as client:
        await _created(client, seconds.known)
    key = await admin.create_key("watcher", role="client", tenant="team")
    async with mesh.client("planner", key.secret) as client:
        task_id = await _created(client, seconds.new)
        async with aclosing(client.watch_task(task_id)) as events:
            await anext(events)
            since = time.perf_counter()
            await admin.revoke_key(key.key.id)
            try:
                async for _ in events:
                    pass
            except Unauthenticated:
                seconds.ended.append(time.perf_counter() - since)
                return
    raise AssertionError("the stream ended by itself")


async def _created(client: DevTeamClient, took: list[float]) -> str:
    """A task that nobody takes."""
    since = time.perf_counter()
    task = await client.create_task("hello", model="sim", queue="nobody")
    took.append(time.perf_counter() - since)
    return task.id


if __name__ == "__main__":
    main()
