"""Local workers that outlive a mesh which was killed: its death tells them to end, which takes them some seconds."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from devteam.mesh.clock import Clock
from devteam.mesh.errors import FailedPrecondition

_LOOK_EVERY = 0.1


async def gone(
    worker_ids: Collection[str], data: Path, progress: Callable[[str], None], clock: Clock, *, timeout: float
) -> None:
    """Wait until no worker of these ids runs on the folder `data`: two of one id are refused.

    Raises FailedPrecondition when one still runs after `timeout` seconds.
    """
    from devteam_worker.presence import Presences

    presences, give_up_at, said = Presences(data / "workers"), clock.monotonic() + timeout, False
    while left := [worker for worker in await asyncio.to_thread(presences.live) if worker.worker_id in worker_ids]:
        if clock.monotonic() >= give_up_at:
            raise FailedPrecondition(
                f"worker {left[0].worker_id} still runs on {data}, as process {left[0].pid}: use `devteam-worker stop "
                f"--id {left[0].worker_id} --data {data}`, or choose another folder with --data"
            )
        if not said:
            progress("waiting for workers of an earlier mesh to end")
            said = True
        await clock.sleep(_LOOK_EVERY)
