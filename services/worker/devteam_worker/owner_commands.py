"""Commands for workers that run on this machine already."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.command_line import Data, Timeout, WorkerId, complaining, presences_in, say, seconds_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devteam_worker.presence import Presence

# As long as an operator may give a worker.
_WEEK = "7d"
# The worker's own deadline, instead of a time.
_OWN = "own"


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


def drain(
    worker_id: WorkerId = None,
    data: Data = None,
    *,
    deadline: Annotated[
        str | None,
        typer.Option(help="Hand back what still runs after this time: 90, 30s, 5m, or own [default: a week]."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has left.")] = False,
) -> None:
    """Give a worker no new work, let what runs come to its end however long that takes, then let the worker end.

    `--deadline own` takes the worker's own (drainDeadlineMs, 25 s), as `devteam drain WORKER`, from anywhere, does
    without a deadline.

    `stop` is for those in a hurry: it hands back what still runs when the worker's own deadline has passed, waits for
    that, and may follow a drain that takes too long.
    """
    from devteam_worker import owner

    told = _WEEK if deadline is None else deadline
    within = None if told == _OWN else seconds_of("--deadline", told, least="0s", most=_WEEK)
    with complaining():
        presences = presences_in(data)
        name = presences.the_one(worker_id).worker_id
        now = owner.drain(presences, name, say, within=within, wait=wait)
        write(f"Worker {name} drains: {now.running} runs in hand" if now else f"Worker {name} has left")


def status(
    worker_id: WorkerId = None,
    data: Data = None,
    *,
    ready: Annotated[bool, typer.Option("--ready", help="Fail as well unless all of them take work.")] = False,
) -> None:
    """Show the workers that run on this machine; exit code 1 when there is none."""
    with complaining():
        presences = presences_in(data)
        shown = presences.live() if worker_id is None else [presences.the_one(worker_id)]
        for presence in shown:
            write(_line(presence))
        if not shown:
            presences.the_one(None)
        if ready:
            _refuse_unready(shown)


def _refuse_unready(shown: "Sequence[Presence]") -> None:
    from devteam.mesh.errors import FailedPrecondition
    from devteam_worker.presence import Phase

    for presence in shown:
        if presence.phase is not Phase.READY:
            raise FailedPrecondition(f"worker {presence.worker_id} is {presence.phase}, and takes no work")


def _line(presence: "Presence") -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(presence.started_at))
    parts = (
        presence.worker_id,
        presence.phase,
        f"pid {presence.pid}",
        f"since {since}",
        presence.instance_id or "not registered",
        presence.api_url,
        f"{presence.concurrency} slots" + (", as an operator wishes" if presence.wished else ""),
    )
    return "  ".join(parts)
