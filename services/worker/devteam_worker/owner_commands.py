"""Commands for workers that run on this machine already."""

import time
from typing import TYPE_CHECKING

from devteam_worker.command_line import Data, Timeout, WorkerId, complaining, presences_in, say, write

if TYPE_CHECKING:
    from devteam_worker.presence import Presence


def restart(worker_id: WorkerId = None, data: Data = None, timeout: Timeout = 300.0) -> None:
    """Let a worker finish or hand back its runs, and begin anew with freshly read settings."""
    from devteam_worker import owner

    with complaining():
        now = owner.restart(presences_in(data), worker_id, say, timeout=timeout)
        write(f"Worker {now.worker_id} restarted (concurrency: {now.concurrency})")


def stop(worker_id: WorkerId = None, data: Data = None, timeout: Timeout = 300.0) -> None:
    """Let a worker finish or hand back its runs, and end."""
    from devteam_worker import owner

    with complaining():
        before = owner.stop(presences_in(data), worker_id, say, timeout=timeout)
        write(f"Worker {before.worker_id} stopped")


def status(worker_id: WorkerId = None, data: Data = None) -> None:
    """Show the workers that run on this machine; exit code 1 when there is none."""
    with complaining():
        presences = presences_in(data)
        for presence in presences.live() if worker_id is None else [presences.the_one(worker_id)]:
            write(_line(presence))
        if not presences.live():
            presences.the_one(None)


def _line(presence: "Presence") -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(presence.started_at))
    parts = (
        presence.worker_id,
        presence.phase,
        f"pid {presence.pid}",
        f"since {since}",
        presence.instance_id or "not registered",
        presence.api_url,
        f"{presence.concurrency} slots",
    )
    return "  ".join(parts)
