"""`devteam queues` and `devteam queue`: what waits, and how operators want queues to be served."""

from collections.abc import Mapping
from typing import Annotated

import typer

from devteam.routing import QueuePolicy
from devteam_cli import output
from devteam_cli.completion import queue_names
from devteam_cli.queue_view import queues_table, throttle_line
from devteam_cli.routing_view import queue_policies_table
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say
from devteam_cli.text import printable
from devteam_cli.wishes import PLACEMENT, Reader, Wishes, number, taken_back_as, wishes

app = typer.Typer(help="Say how a queue is served.", no_args_is_help=True)

QueueName = Annotated[str, typer.Argument(help="The name of a queue.", metavar="QUEUE", autocompletion=queue_names)]

_WISHES: Mapping[str, Reader] = {**PLACEMENT, "tenant.NAME": taken_back_as(None, number)}


@connected
async def list_queues(session: Session) -> None:
    """Show all queues: what waits, what runs, what could, and the models that providers keep waiting."""
    queues = await session.client.list_queues()
    throttles = [throttle_line(throttle) for throttle in await session.client.list_throttles()]
    if session.is_text and queues:
        session.show(queues_table(queues), *map(printable, throttles))
        return
    for line in throttles:
        say(line)
    if not session.is_text:
        output.write_items(session.output, queues)
    else:
        say("no queues: no worker serves one and nothing waits")


@app.command("pause")
@connected
async def pause(session: Session, queue: QueueName) -> None:
    """Start nothing of a queue; what runs, runs on, and tasks are still accepted."""
    policy = await session.client.update_queue(queue, paused=True)
    _tell(session, policy, f"{queue} is paused; `devteam queue resume {queue}` lets it go on")


@app.command("resume")
@connected
async def resume(session: Session, queue: QueueName) -> None:
    """Let a paused queue go on."""
    policy = await session.client.update_queue(queue, paused=False)
    _tell(session, policy, f"{queue} goes on")


@app.command("set")
@connected
async def set_queue(session: Session, queue: QueueName, given: Wishes) -> None:
    """Say how a queue is served: strategy=round-robin locality-wait=5s tenant.NAME=3."""
    wanted = wishes(given, _WISHES)
    if shares := wanted.pop("tenant", None):
        # An update replaces all shares, so that the others have to be said again.
        known = (await session.client.get_routing()).queue(queue).tenant_weights
        wanted["tenant_weights"] = {name: share for name, share in {**known, **shares}.items() if share is not None}
    policy = await session.client.update_queue(queue, **wanted)
    if session.is_text:
        session.show(queue_policies_table([policy]))
    else:
        output.write_item(session.output, policy)


def _tell(session: Session, policy: QueuePolicy, line: str) -> None:
    if session.is_text:
        say(line)
    else:
        output.write_item(session.output, policy)
