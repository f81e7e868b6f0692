"""What the owner of a machine asks of a worker that runs on it, from another process."""

import os
import signal
import time
from collections.abc import Callable, Iterator

from devteam.mesh.errors import Aborted, DeadlineExceeded, FailedPrecondition
from devteam_worker.presence import Phase, Presence, Presences

RESTART_SIGNAL = signal.SIGUSR1

_LOOK_EVERY = 0.1
# Signals would be lost, or end it at once.
_ON_ITS_WAY = {Phase.STOPPING, Phase.RESTARTING}
Say = Callable[[str], None]


def restart(presences: Presences, worker_id: str | None, say: Say, *, timeout: float) -> Presence:
    """Make a worker drain and begin anew with freshly read settings; returns it once it is registered again.

    Raises FailedPrecondition when its new settings are wrong (it goes on with the old ones), Aborted when it ends
    instead, DeadlineExceeded after `timeout` seconds.
    """
    before = presences.the_one(worker_id)
    if before.phase not in _ON_ITS_WAY:
        os.kill(before.pid, RESTART_SIGNAL)
    for now in _watched(presences, before, say, timeout):
        if now is None:
            raise Aborted(f"worker {before.worker_id} ended and did not come back; what it said last has the cause")
        if now.wishes > before.wishes and now.refusal:
            raise FailedPrecondition(f"worker {before.worker_id} goes on with its old settings: {now.refusal}")
        if now.phase is Phase.READY and now.instance_id != before.instance_id:
            return now
    raise _too_long(before, "registered again", timeout)


def stop(presences: Presences, worker_id: str | None, say: Say, *, timeout: float) -> Presence:
    """Make a worker drain and end; returns what it was. Raises DeadlineExceeded after `timeout` seconds."""
    before = presences.the_one(worker_id)
    # A second signal would not let it finish.
    if before.phase is not Phase.STOPPING:
        os.kill(before.pid, signal.SIGTERM)
    for now in _watched(presences, before, say, timeout):
        if now is None:
            return before
    raise _too_long(before, "ended", timeout)


def _watched(presences: Presences, before: Presence, say: Say, timeout: float) -> Iterator[Presence | None]:
    """What the worker says from now on, None once its process is gone; every news is told to the owner."""
    told = before.phase
    give_up_at = time.monotonic() + timeout
    while time.monotonic() < give_up_at:
        now = presences.read(before.worker_id)
        alive = before.lives
        if now is not None and alive and now.phase is not told:
            told = now.phase
            say(_progress(now))
        yield (now or before) if alive else None
        time.sleep(_LOOK_EVERY)


def _progress(now: Presence) -> str:
    match now.phase:
        case Phase.DRAINING:
            return f"{now.worker_id} drains for an operator: {now.running} runs in hand"
        case Phase.STOPPING:
            return f"{now.worker_id} drains: {now.running} runs end or are handed back within {now.drain_deadline:g} s"
        case Phase.RESTARTING:
            return f"{now.worker_id} has drained and begins anew"
        case Phase.STARTING:
            return f"{now.worker_id} waits for the mesh at {now.api_url}"
        case Phase.READY:
            return f"{now.worker_id} is registered as {now.instance_id}"


def _too_long(before: Presence, what: str, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"worker {before.worker_id} has not {what} within {timeout:g} s; it may still do so")
