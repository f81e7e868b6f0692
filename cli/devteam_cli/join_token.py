"""`devteam join-token`: let a worker on another machine have a key of its own."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

from typing import Annotated

import typer

from devteam_cli import output
from devteam_cli.arguments import length_of_time
from devteam_cli.keys import Queues, Tenant
from devteam_cli.local_mesh import directions
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say
from devteam_cli.text import left

app = typer.Typer(help="Let workers join.", no_args_is_help=True)


@app.callback()
def join_token() -> None:
    """Let workers join."""


@app.command("create")
@connected
async def create(
    session: Session,
    *,
    queue: Queues = [],
    tenant: Tenant = "",
    worker: Annotated[str, typer.Option(help="The id that the worker has to have [it chooses].")] = "",
    ttl: Annotated[str, typer.Option(help="How long it lasts, a day at most: 10m, 2h.")] = "10m",
) -> None:
    """Make a token that lets one worker join, once. It stands alone on stdout, and holds no address."""
    token = await session.client.create_join_token(
        queues=queue, tenant=tenant, worker_id=worker, expires=length_of_time(ttl)
    )
    if not session.is_text:
        output.write_item(session.output, token)
        return
    lasts = f", within {left(token.expires_at)}" if token.expires_at else ""
    say(f"On the worker's machine{lasts}: devteam-worker join TOKEN {directions(session.client.api_url)}")
    output.write(f"{token.token}\n")
