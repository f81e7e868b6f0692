"""Many whole workers in one process: `python -m benchmarks.worker.crew URL FIRST COUNT`.

Each has its own identity, connections and streams, as if it had a machine of its own; all have simulated models.
"""

import asyncio
import sys

from devteam_worker.app import Owner, serve
from devteam_worker.settings import load_settings

from devteam.mesh import options
from devteam.mesh.logs import configure_logs
from devteam.mesh.process import collect_rarely

# Each of them starts with a look at the machine, and all of these share one.
_AT_A_TIME = 10


class Crew:
    """Workers of one process, which come a few at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Semaphore(_AT_A_TIME)

    async def run(self, numbers: range) -> None:
        """Be all of them, until killed."""
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                await self._turn.acquire()
                group.create_task(self._member(number))

    async def _member(self, number: int) -> None:
        flags = {"api_url": self._url, "worker_id": f"crew-{number:04}", "queue": ["default"], "provider": "sim"}
        settings = load_settings(None, flags, {})
        await serve(settings, Owner(asyncio.Event().wait, lambda _: self._turn.release()))


def main() -> None:
    """Do what the command line says."""
    url, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # Else all workers of a process would share one connection.
    options.CLIENT = (*options.CLIENT, ("grpc.use_local_subchannel_pool", 1))
    configure_logs("benchmarks", level="ERROR")
    collect_rarely()
    asyncio.run(Crew(url).run(range(first, first + count)))


if __name__ == "__main__":
    main()
