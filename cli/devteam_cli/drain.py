"""`devteam drain`: let a worker finish and leave."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from devteam.errors import NotFound
from devteam.models import Availability, WorkerInfo, WorkerStatus
from devteam_cli import output
from devteam_cli.arguments import length_of_time
from devteam_cli.completion import worker_ids
from devteam_cli.failures import Exit
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say
from devteam_cli.text import span

WorkerId = Annotated[str, typer.Argument(help="The id of a worker.", metavar="WORKER", autocompletion=worker_ids)]
# Seconds between two looks, and until the time left is worth a line of its own.
_LOOK_AGAIN = 1.0
_SAY_AGAIN = 30.0


@connected
async def drain(
    session: Session,
    worker_id: WorkerId,
    *,
    deadline: Annotated[
        str | None,
        typer.Option(help="Hand back what still runs after this time: 90, 30s, 5m; else as the worker is set."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the worker has left.")] = False,
) -> Exit | None:
    """Give a worker no new work, let it finish or hand back what runs, then let it leave.

    Without a deadline it has its own (drainDeadlineMs of its settings, 25 s). `devteam-worker drain`, on its machine,
    has more patience: without one it waits for a week.
    """
    within = None if deadline is None else length_of_time(deadline)
    worker = await session.client.drain_worker(worker_id, deadline=within)
    if not session.is_text:
        output.write_item(session.output, worker)
    elif not wait:
        say(_standing(worker))
    return await _left(session, worker) if wait else None


async def _left(session: Session, worker: WorkerInfo) -> Exit:
    """Tell how the drain goes on until the worker has left."""
    seen, said, said_at = worker, "", 0.0
    while seen.registered_at == worker.registered_at:
        if seen.availability is not Availability.DRAINING:
            say(f"{seen.id} no longer drains: it was told to be {seen.availability.value}")
            return Exit.CANCELLED
        if _doing(seen) != said or time.monotonic() - said_at >= _SAY_AGAIN:
            said, said_at = _doing(seen), time.monotonic()
            say(_standing(seen))
        await asyncio.sleep(_LOOK_AGAIN)
        try:
            seen = await session.client.get_worker(worker.id)
        except NotFound:
            say(f"{worker.id} has left")
            return Exit.OK
    say(f"{worker.id} has left, and come back")
    return Exit.OK


def _standing(worker: WorkerInfo) -> str:
    if worker.drain_deadline_at is None:
        return _doing(worker)
    return f"{_doing(worker)}, {span(max(worker.drain_deadline_at - datetime.now(UTC), timedelta()))} left"


def _doing(worker: WorkerInfo) -> str:
    ill = "" if worker.status is WorkerStatus.DRAINING else f" ({worker.status_reason})"
    return f"{worker.id} is {worker.status.value}{ill}, with {worker.active_tasks} running"
