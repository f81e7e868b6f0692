"""How long a revoked key's streams go on at a service that hears of keys from another process.

python -m benchmarks.revocation
"""

import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from benchmarks.figures import percentile, tell
from devteam import DevTeamClient
from devteam.errors import Unauthenticated
from devteam.mesh.logs import configure_logs
from tests.e2e.secured import Services, services

_ROUNDS = 100


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Registry, Router and Planner are processes of their own; the streams are the Planner's."""
    with tempfile.TemporaryDirectory() as folder:
        async with services(Path(folder)) as mesh, mesh.client("registry", mesh.admin) as admin:
            took = [await _seconds(mesh, admin) for _ in range(_ROUNDS)]
    for share in (0.5, 0.99):
        tell(f"revocation to the end of a stream elsewhere, p{share * 100:.0f} ms", percentile(took, share) * 1000)


async def _seconds(mesh: Services, admin: DevTeamClient) -> float:
    key = await admin.create_key("watcher", role="client", tenant="team")
    async with mesh.client("planner", key.secret) as client:
        task_id = await _created(client)
        async with aclosing(client.watch_task(task_id)) as events:
            await anext(events)
            since = time.perf_counter()
            await admin.revoke_key(key.key.id)
            try:
                async for _ in events:
                    pass
            except Unauthenticated:
                return time.perf_counter() - since
    raise AssertionError("the stream ended by itself")


async def _created(client: DevTeamClient) -> str:
    """A task that nobody takes, once the Planner has heard of the key."""
    while True:
        try:
            return (await client.create_task("hello", model="sim", queue="nobody")).id
        except Unauthenticated:
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    main()
