"""`devteam keys`: who may call the mesh."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

import os
from pathlib import Path
from typing import Annotated

import typer

from devteam.keys import NewKey, Role
from devteam_cli import output
from devteam_cli.arguments import length_of_time
from devteam_cli.completion import queue_names
from devteam_cli.keys_view import ends, keys_table, worth
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say

app = typer.Typer(help="Say who may call the mesh.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose tasks; else every tenant's, or your key's.")]
Queues = Annotated[
    list[str],
    typer.Option("--queue", "-q", help="A queue that it may use; repeat for several.", autocompletion=queue_names),
]


@app.command("create")
@connected
async def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="For people: who has it, and for what.", metavar="NAME")],
    *,
    role: Annotated[str, typer.Option(help="client, worker, operator or admin.")] = Role.CLIENT.value,
    tenant: Tenant = "",
    queue: Queues = [],
    worker: Annotated[str, typer.Option(help="The one worker that it is for.")] = "",
    expires: Annotated[str | None, typer.Option(help="End it by itself after 90d, 12h ... [never].")] = None,
    rate: Annotated[float, typer.Option(help="Creates a second, on average [as the services are set].")] = 0.0,
) -> None:
    """Make a key, and show it: it stands alone on stdout, and cannot be shown again."""
    made = await session.client.create_key(
        name,
        role=role,
        tenant=tenant,
        queues=queue,
        worker_id=worker,
        expires=None if expires is None else length_of_time(expires),
        rate=rate,
    )
    _show(session, made)


@app.command("list")
@connected
async def list_keys(
    session: Session,
    *,
    ended: Annotated[bool, typer.Option("--all", "-a", help="Also those that were revoked or have expired.")] = False,
) -> None:
    """Show all keys, without what opens anything."""
    keys = await session.client.list_keys(include_ended=ended)
    if not session.is_text:
        output.write_items(session.output, keys)
    elif keys:
        session.show(keys_table(keys, states=ended))
    else:
        say("no keys; make one with `devteam keys create NAME --role client --tenant TENANT`")


@app.command("revoke")
@connected
async def revoke(
    session: Session, key_id: Annotated[str, typer.Argument(help="As `devteam keys list` shows it.", metavar="ID")]
) -> None:
    """End a key at once, with every stream that was opened with it. There is no way back."""
    key = await session.client.revoke_key(key_id)
    if session.is_text:
        say(f"{key.id} ({key.name}) opens nothing any more")
    else:
        output.write_item(session.output, key)


@app.command("mesh")
def mesh(
    file: Annotated[
        Path | None, typer.Option("--file", help="Write it there, for its owner's eyes alone, and not to stdout.")
    ] = None,
) -> None:
    """Make a mesh key: what the services of one mesh know each other by, and what makes the first key.

    Needs no mesh. Give the same to Registry, Router and Planner: DEVTEAM_REGISTRY_MESH_KEY_FILE and so on.
    """
    from devteam.mesh.access.key import mint

    secret = mint("m").secret
    if file is None:
        output.write(f"{secret}\n")
        return
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(f"{secret}\n")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be made: {error.strerror}", param_hint="--file") from None
    say(f"{file} holds a new mesh key")


def _show(session: Session, made: NewKey) -> None:
    if not session.is_text:
        output.write_item(session.output, made)
        return
    say(f"{made.key.id} ({made.key.name}): {worth(made.key)}; {ends(made.key)}. It is not shown again:")
    output.write(f"{made.secret}\n")
