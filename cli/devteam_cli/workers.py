"""`devteam workers` and `devteam worker`: who is there, and what operators want of them."""

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.models import Availability
from devteam_cli import output, render
from devteam_cli.completion import queue_names
from devteam_cli.drain import WorkerId, drain
from devteam_cli.session import Session, connected, console
from devteam_cli.stderr import say
from devteam_cli.text import printable
from devteam_cli.wishes import Reader, Wishes, count, number, one_of, taken_back_as, wishes

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Look at one worker, or tell it what you want of it.", no_args_is_help=True)
app.command("drain")(drain)

_WISHES: Mapping[str, Reader] = {
    "concurrency": taken_back_as(0, count),
    "weight": taken_back_as(0.0, number),
    "availability": taken_back_as(Availability.OPEN, one_of(Availability)),
    "labels.NAME": str,
}
# Workers change when they beat; nothing is gained by looking more often.
_LOOK_AGAIN = 2.0


@connected
async def list_workers(
    session: Session,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep looking, until interrupted.")] = False,
    queue: Annotated[
        str | None, typer.Option(help="Only workers that serve this queue.", autocompletion=queue_names)
    ] = None,
) -> None:
    """Show all workers: how they are, what they do, what they can do."""
    screen = console(sys.stdout)
    if watch and session.is_text and screen.is_terminal:
        await _watch(session, queue, screen)
        return
    await _show(session, queue)
    while watch:
        await asyncio.sleep(_LOOK_AGAIN)
        await _show(session, queue)


@app.command("get")
@connected
async def get_worker(session: Session, worker_id: WorkerId) -> None:
    """Show one worker."""
    worker = await session.client.get_worker(worker_id)
    if session.is_text:
        session.show(render.worker_details(worker))
    else:
        output.write_item(session.output, worker)


@app.command("cordon")
@connected
async def cordon(session: Session, worker_id: WorkerId) -> None:
    """Give a worker no new work; what runs, runs on."""
    await _want(session, worker_id, Availability.CORDONED)


@app.command("uncordon")
@connected
async def uncordon(session: Session, worker_id: WorkerId) -> None:
    """Give a worker new work again."""
    await _want(session, worker_id, Availability.OPEN)


@app.command("set")
@connected
async def set_worker(session: Session, worker_id: WorkerId, given: Wishes) -> None:
    """Say what you want of a worker: concurrency=8 weight=4 labels.zone=a availability=cordoned."""
    worker = await session.client.update_worker(worker_id, **wishes(given, _WISHES))
    if session.is_text:
        session.show(render.worker_details(worker))
    else:
        output.write_item(session.output, worker)


async def _want(session: Session, worker_id: str, availability: Availability) -> None:
    worker = await session.client.update_worker(worker_id, availability=availability)
    if session.is_text:
        say(f"{worker.id} is {worker.status.value}, with {worker.active_tasks} running")
    else:
        output.write_item(session.output, worker)


async def _show(session: Session, queue: str | None) -> None:
    workers = await session.client.get_workers(queue=queue)
    if workers.notice:
        say(workers.notice)
    if not session.is_text:
        output.write_items(session.output, workers)
    elif workers:
        session.show(render.workers_table(workers))
    else:
        say("no workers; start one with `devteam-worker start`")


async def _watch(session: Session, queue: str | None, screen: "Console") -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=screen, auto_refresh=False) as live:
        while True:
            workers = await session.client.get_workers(queue=queue)
            live.update(Group(render.workers_table(workers), Text(printable(workers.notice))), refresh=True)
            await asyncio.sleep(_LOOK_AGAIN)
