"""What the owner of a machine asks of a worker that runs on it, from another process."""

import os
import signal
import time
from collections.abc import Callable, Iterator

from devteam.mesh.errors import Aborted, DeadlineExceeded, FailedPrecondition
from devteam_worker.drain_wish import leave_wish
from devteam_worker.presence import Phase, Presence, Presences

RESTART_SIGNAL = signal.SIGUSR1
# Read the settings again, and look for a wish to drain. Not SIGHUP: a worker goes with the terminal that it is in.
LOOK_SIGNAL = signal.SIGUSR2

_LOOK_EVERY = 0.1
# A worker reads its settings within a moment, and gives the Registry five seconds to agree.
_ANSWER_WITHIN = 20.0
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
    if before.phase is Phase.STARTING:
        say(f"{before.worker_id} is starting: it closes what it has begun, and ends")
    # A second signal would not let it finish; the first one that comes while it restarts does.
    if before.phase is not Phase.STOPPING or before.again:
        os.kill(before.pid, signal.SIGTERM)
    for now in _watched(presences, before, say, timeout):
        if now is None:
            return before
    raise _too_long(before, "ended", timeout)


def drain(
    presences: Presences, worker_id: str | None, say: Say, *, within: float | None, wait: bool
) -> Presence | None:
    """Let a worker finish within so many seconds, and leave; returns what it says once it drains, None once it is gone.

    `within` None stands for the deadline of its own settings. With `wait`, returns when it is gone. Raises
    FailedPrecondition while it has nothing to drain.
    """
    before = presences.the_one(worker_id)
    if before.phase in {Phase.STARTING, *_ON_ITS_WAY}:
        name = before.worker_id
        raise FailedPrecondition(
            f"worker {name} is {before.phase}: there is nothing to drain; `devteam-worker stop --id {name}` ends it"
        )
    seconds = before.drain_deadline if within is None else within
    _look(before, lambda: leave_wish(presences.folder, before, seconds))
    for now in _watched(presences, before, say, float("inf") if wait else _ANSWER_WITHIN):
        if now is None:
            return None
        if not wait and now.looks > before.looks and now.phase is not Phase.READY:
            return now
    raise _too_long(before, "begun to drain", _ANSWER_WITHIN)


def take_over(presences: Presences, before: Presence) -> Presence:
    """Have a worker at work read its settings again; returns what it says then.

    Raises FailedPrecondition when the settings are wrong (it goes on with the old ones), Aborted when it ends instead,
    DeadlineExceeded when it says nothing.
    """
    _look(before)
    for now in _watched(presences, before, lambda _: None, _ANSWER_WITHIN):
        if now is None:
            raise Aborted(f"worker {before.worker_id} ended meanwhile")
        if now.looks > before.looks:
            if now.refusal:
                raise FailedPrecondition(f"worker {before.worker_id} goes on with its old settings: {now.refusal}")
            return now
    raise _too_long(before, "read its settings", _ANSWER_WITHIN)


def _look(worker: Presence, prepare: Callable[[], None] = lambda: None) -> None:
    if worker.looks < 0:
        raise FailedPrecondition(
            f"worker {worker.worker_id} was started by an older version, which can only be restarted or stopped"
        )
    prepare()
    os.kill(worker.pid, LOOK_SIGNAL)


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
            return f"{now.worker_id} drains: {now.running} runs in hand"
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
